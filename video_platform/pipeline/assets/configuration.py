"""The configuration as observable source assets: what is in force now, in versions that change exactly when what the fingerprints count changes."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from video_platform import recipes
from video_platform.errors import ModelUnavailable, PlatformError
from video_platform.fingerprints import content_hash
from video_platform.layout import DETECTIONS
from video_platform.pipeline import configured
from video_platform.pipeline.configured import DESCRIBED_RULES, DETECTOR, PROMPTS, RULES, SECOND_LOOKER, VISION
from video_platform.pipeline.judging import active_rules
from video_platform.pipeline.resources import Desk

log = logging.getLogger(__name__)

DESCRIPTIONS = {
    RULES: "The active rule set, of all cameras: what of it decides alerts over tracks. Comments, order, severity and channels do not count.",
    DESCRIBED_RULES: "The `sees` and `says` rules of the active set, of all cameras: what of them decides alerts.",
    DETECTOR: "The detector, its model file, and how often and down to which score it looks.",
    PROMPTS: "Who writes summaries, a language model or the template, and with which words.",
    VISION: "Who describes frames, with which words, and how many of them.",
    SECOND_LOOKER: "Who takes a second look at alerts, with which words, and at how many of them.",
}


@dataclass(frozen=True)
class Seen:
    """The version that is in force, and `facts` for people. `doubt` says why it may be another one in a minute, None when it is certain."""

    asset: str
    version: str
    facts: Mapping[str, str | int]
    doubt: str | None = None

    def observation(self) -> dg.AssetObservation:
        """As an event that belongs to no run."""
        return dg.AssetObservation(asset_key=self.asset, metadata=dict(self.facts), tags={DATA_VERSION_TAG: self.version})


def look(asset: str, desk: Desk) -> Seen:
    """What is in force now. `prompts`, `vision` and `second_looker` ask the language-model server when they may, for some seconds at most (`ollama.LOOK_S`).

    Raises:
        DatabaseUnavailable: the rules cannot be read now.
        RulesError: the rules in force cannot be read by this version of the program.
        SettingsError: the settings name an unknown detector.
        ModelUnavailable: the settings demand a model that is not there; a stand-in writes, but no summary counts as its.
    """
    return LOOKS[asset](desk)


def _rules(desk: Desk) -> Seen:
    active = active_rules(desk)
    return Seen(RULES, active.data_version, {"rules_version": active.version, "rules": len(active.rule_set.on_tracks.rules)})


def _described_rules(desk: Desk) -> Seen:
    active = active_rules(desk)
    return Seen(DESCRIBED_RULES, active.described_version, {"rules_version": active.version, "rules": len(active.rule_set.on_description.rules)})


def _detector(desk: Desk) -> Seen:
    counts = recipes.one_pass(desk.settings)[DETECTIONS]
    return Seen(DETECTOR, content_hash(counts), {name: str(value) for name, value in counts.items()})


def _prompts(desk: Desk) -> Seen:
    from video_platform.analysis import summary
    from video_platform.services import language_models

    settings = desk.settings.language_model
    choice = language_models.choose(settings)
    if choice.degraded:
        raise ModelUnavailable(f"what writes summaries is not observed: {choice.reason}", model=settings.model)
    counts = summary.configuration(choice.model, settings.language)
    doubt = choice.reason if choice.model is None and settings.engine != "template" else None
    return Seen(PROMPTS, content_hash(counts), {name: str(value) for name, value in counts.items()}, doubt)


def _vision(desk: Desk) -> Seen:
    from video_platform import captioning

    describer = captioning.choose(desk.settings)
    if describer.away:
        raise ModelUnavailable(f"what describes frames is not observed: {describer.reason}", model=describer.eyes.name)
    counts = describer.configuration
    return Seen(VISION, content_hash(counts), {name: str(value) for name, value in counts.items()})


def _second_looker(desk: Desk) -> Seen:
    from video_platform import second_looking

    looker = second_looking.choose(desk.settings)
    if looker.eyes is not None and looker.away:
        raise ModelUnavailable(f"what looks at alerts is not observed: {looker.eyes.reason}", model=looker.eyes.name)
    counts = looker.configuration
    return Seen(SECOND_LOOKER, content_hash(counts), {name: str(value) for name, value in counts.items()})


LOOKS: Mapping[str, Callable[[Desk], Seen]] = {
    RULES: _rules,
    DESCRIBED_RULES: _described_rules,
    DETECTOR: _detector,
    PROMPTS: _prompts,
    VISION: _vision,
    SECOND_LOOKER: _second_looker,
}


def observed(instance: dg.DagsterInstance, asset: str) -> str | None:
    """The version that was observed last, None when none ever was."""
    for record in instance.fetch_observations(dg.AssetKey(asset), limit=1).records:
        if record.asset_observation is not None:
            return record.asset_observation.tags.get(DATA_VERSION_TAG)
    return None


def report_changes(instance: dg.DagsterInstance, desk: Desk) -> None:
    """Observes what changed since the last time, without a run; what cannot be looked at now is left as it is."""
    for asset in configured.ALL:
        try:
            seen = look(asset, desk)
        except PlatformError as error:
            log.info("%s is not observed: %s", asset, error)
            continue
        if seen.version != observed(instance, asset):
            instance.report_runless_asset_event(seen.observation())


def _observable() -> dg.AssetsDefinition:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # Dagster marks observable source assets as beta

        @dg.multi_observable_source_asset(
            name="observe_configuration",
            specs=[dg.AssetSpec(asset, description=DESCRIPTIONS[asset], group_name="configuration") for asset in configured.ALL],
            can_subset=True,
            required_resource_keys={"desk"},
        )
        def configuration(context: dg.AssetExecutionContext) -> Iterator[dg.ObserveResult]:
            """What the button "observe" does: says what is in force now, changed or not."""
            selected = {key.path[-1] for key in context.selected_asset_keys}
            try:
                found = [look(asset, context.resources.desk) for asset in configured.ALL if asset in selected]
            except PlatformError as error:
                raise dg.Failure(description=error.message, allow_retries=False) from error  # whoever pressed the button can press it again
            for seen in found:
                yield dg.ObserveResult(asset_key=seen.asset, data_version=dg.DataVersion(seen.version), metadata=dict(seen.facts))

        return configuration


configuration = _observable()
"""The source assets `rules`, `described_rules`, `detector`, `prompts`, `vision` and `second_looker`: never made, only observed."""
