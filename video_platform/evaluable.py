"""Which rules nothing in this installation can evaluate, and exactly what to install or set so that something can."""

from collections.abc import Callable, Mapping

from video_platform import detectors, extras, model_files, model_registry, second_looking, speech_model
from video_platform.model_registry import Registry, Task
from video_platform.rules import Classes, RuleSet
from video_platform.services import ollama, vision
from video_platform.settings import PREFIX, Settings

VISION_MODEL = f"{PREFIX}LANGUAGE_MODEL__VISION_MODEL"
DETECTOR = f"{PREFIX}DETECTION__MODEL"


def why_not(settings: Settings, rule_set: RuleSet) -> dict[str, str]:
    """Rule -> why it cannot be evaluated here, and what to do; rules that can be are left out.

    The language-model server is asked where a rule wants a model that sees, which takes some seconds at most.
    """
    reasons: Mapping[str, str | None] = {kind: look(settings) for kind, look in LOOKS.items() if any(rule.kind == kind for rule in rule_set.rules)}
    return {rule.name: reason for rule in rule_set.rules if (reason := reasons.get(rule.kind))}


def why_unverified(settings: Settings, rule_set: RuleSet) -> str | None:
    """Why nobody takes the second look at alerts of these rules that the settings want, and what to do; None where somebody does, or none is wanted."""
    if not settings.second_look.enabled or all(rule.described for rule in rule_set.rules):
        return None
    found, as_wanted = second_looking.describe(settings)
    return None if as_wanted else found


def classes(settings: Settings) -> Classes:
    """What the detector can name, for reading rules, with what to do about a class that is not among it.

    Raises:
        SettingsError: the settings name an unknown detector.
    """
    return Classes(detectors.class_names(settings), class_advice(settings))


def class_advice(settings: Settings) -> Callable[[str], str]:
    """What to do about a class that the detector lacks, as a sentence: an open-vocabulary detector that looks for it, or a question to a model that sees."""
    return lambda name: f"{_looked_for(model_registry.of(settings), name)}; or ask a vision model: `sees: a {name}` ({vision_advice()})"


def vision_advice() -> str:
    """What to install and set so that a model can be shown frames."""
    return f"ollama pull {ollama.SEEING_MODEL}, then {VISION_MODEL}={ollama.SEEING_MODEL}"


def _looked_for(registry: Registry, name: str) -> str:
    open_words = [entry for entry in registry.entries.values() if entry.task is Task.OPEN_VOCABULARY]
    fitting = next((entry for entry in open_words if name in entry.classes), None)
    if fitting is None:
        base = next((entry.name for entry in open_words if entry.kind is not model_registry.SourceKind.MODEL), "")
        entry = f"{{name: my-words, task: open-vocabulary, source: model:{base}, licence: …, classes: [{name}]}}"
        return f"an open-vocabulary detector looks for any words: write {entry} into the file of {model_registry.VARIABLE}, then {DETECTOR}=my-words"
    extra = model_files.without(fitting)
    steps = [*([extras.install(extra)] if extra else []), f"vp models pull {registry.holder(fitting).name}", f"{DETECTOR}={fitting.name}"]
    return f"the open-vocabulary detector {fitting.name} looks for it: {', then '.join(steps)}"


def _sees(settings: Settings) -> str | None:
    eyes = vision.choose(settings.language_model)
    if eyes.model is not None or eyes.away:  # one that is away is asked when it is back
        return None
    pull = eyes.lack == "none_named" and settings.language_model.engine != "openai_compatible"
    return f"it needs a model that can be shown frames: {eyes.reason}" + (f" (after: ollama pull {ollama.SEEING_MODEL})" if pull else "")


def _says(settings: Settings) -> str | None:
    found = speech_model.find(settings)
    return None if found.model else f"it needs what is said as text: {found.reason}"


LOOKS: Mapping[str, Callable[[Settings], str | None]] = {"sees": _sees, "says": _says}
"""Kinds that need more than the detector, and what looks whether that is here. A class that the detector lacks is a problem of the rules file itself."""
