"""Who describes frames now, and what counts of that: one answer for the step that makes captions, for plans, and for what Dagster shows as stale."""

from dataclasses import dataclass

from video_platform import prompts
from video_platform.analysis import captions
from video_platform.analysis.captions import Prompt
from video_platform.errors import SettingsError
from video_platform.services import vision
from video_platform.services.vision import Eyes
from video_platform.settings import PREFIX, CaptionSettings, Settings

UNREADABLE = "prompt"
"""Stands in a configuration for what is lacking when the prompt of the settings cannot be used."""


@dataclass(frozen=True)
class Describer:
    """A model that looks and the words it is asked with; or, with either None, the `reason` why nothing is described.

    `configuration` is what counts of it in a fingerprint. `away`: what the settings name does not answer now, so that its weights are not known.
    """

    eyes: Eyes
    prompt: Prompt | None
    reason: str
    configuration: dict[str, object]

    @property
    def away(self) -> bool:
        """Whether it may be another answer in a minute."""
        return self.eyes.away


def choose(settings: Settings) -> Describer:
    """Who describes frames now; takes some seconds at most and never raises."""
    eyes = vision.choose(settings.language_model)
    if eyes.model is None and not eyes.away:
        return Describer(eyes, None, eyes.reason, {"model": eyes.name or None, "lack": eyes.lack})
    try:
        prompt = read_prompt(settings.captions)
    except SettingsError as error:
        return Describer(eyes, None, error.message, {"model": eyes.name, "lack": UNREADABLE})
    counts = {
        "model": eyes.name,
        "digest": eyes.model.digest if eyes.model else None,
        "prompt": prompt.hash,
        "per_second": settings.captions.per_second,
        "max_frames": settings.captions.max_frames,
    }
    return Describer(eyes, prompt, eyes.reason, counts)


def read_prompt(settings: CaptionSettings) -> Prompt:
    """The words to ask with: those of the settings, else those that ship.

    Raises:
        SettingsError: they cannot be read, are none, or too many.
    """
    if settings.prompt is None:
        return Prompt(prompts.prompt(captions.PROMPT))
    path = settings.prompt
    variable = f"{PREFIX}CAPTIONS__PROMPT"
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(captions.MAX_PROMPT_CHARS + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"the prompt for captions in {path} cannot be read: {reason}; look at {variable}") from error
    if not text.strip() or len(text) > captions.MAX_PROMPT_CHARS:
        raise SettingsError(f"the prompt for captions in {path} must have 1 to {captions.MAX_PROMPT_CHARS} characters; look at {variable}")
    return Prompt(text)
