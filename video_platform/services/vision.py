"""Who is shown pictures: the vision model that the settings name, if it is there and can see."""

from dataclasses import dataclass
from typing import Literal

from video_platform.services import language_models, ollama
from video_platform.services.ollama import VARIABLE, OllamaModel
from video_platform.services.openai_compatible import OpenAICompatibleModel
from video_platform.settings import LanguageModelSettings

Lack = Literal["none_named", "not_wanted", "not_there", "no_vision", "away"]
"""Why nobody looks: none is named, the settings want no model at all, it is not pulled, it has no vision (or nobody can tell), or nothing answers now."""


@dataclass(frozen=True)
class Eyes:
    """Who looks at pictures: a model, or nobody, for a `lack` that `reason` puts in words with what to do. `name` is of the model that the settings name."""

    name: str
    model: OllamaModel | OpenAICompatibleModel | None = None
    lack: Lack | None = None
    reason: str = ""

    @property
    def away(self) -> bool:
        """Whether a model that the settings name does not answer now; everything else stays as it is until somebody changes it."""
        return self.lack == "away"


def choose(settings: LanguageModelSettings) -> Eyes:
    """Who looks at pictures now; takes some seconds at most and never raises."""
    name = settings.vision_model
    state = language_models.seer(settings)
    if state is None:
        example = f"{VARIABLE}VISION_MODEL={ollama.SEEING_MODEL}"
        return Eyes("", lack="none_named", reason=f"no vision model is named; set for example {example}")
    if settings.engine == "template":
        return Eyes(name, lack="not_wanted", reason=state.found)
    if not state.ok:
        return Eyes(name, lack=state.lack or "away", reason=f"{state.found}; {state.advice}")
    found = language_models.choose(settings.model_copy(update={"model": name, "digest": ""}))
    return Eyes(name, found.model) if found.model else Eyes(name, lack="away", reason=f"{found.reason}")
