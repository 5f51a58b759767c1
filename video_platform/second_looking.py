"""Who takes a second look at alerts, and what counts of that: one answer for the step that does, for plans, for whoever raises alerts, and for people."""

from collections.abc import Mapping
from dataclasses import dataclass

from video_platform import recipes
from video_platform.analysis import second_look
from video_platform.services import vision
from video_platform.services.vision import Eyes
from video_platform.settings import PREFIX, Settings

ENABLED = f"{PREFIX}SECOND_LOOK__ENABLED"


@dataclass(frozen=True)
class SecondLooker:
    """Who is shown the pictures of alerts, None where nobody is to be; `configuration` is what counts of it in a fingerprint."""

    eyes: Eyes | None
    configuration: dict[str, object]

    @property
    def away(self) -> bool:
        """Whether it may be another answer in a minute."""
        return self.eyes is not None and self.eyes.away


def choose(settings: Settings) -> SecondLooker:
    """Who looks now; takes some seconds at most and never raises."""
    if not settings.second_look.enabled:
        return SecondLooker(None, {})
    eyes = vision.choose(settings.language_model)
    if eyes.model is not None:
        seeing = second_look.configuration(eyes.model)
    elif eyes.away:
        seeing = {"model": eyes.name, "digest": None}
    else:
        seeing = recipes.unseeing(eyes.name, eyes.lack or "")
    return SecondLooker(eyes, configuration(settings, seeing))


def configuration(settings: Settings, seeing: Mapping[str, object]) -> dict[str, object]:
    """What counts of a second look, in a fingerprint; `seeing` is what counts of who is shown pictures. Nothing where none is taken."""
    if not settings.second_look.enabled:
        return {}
    words = {"prompt": second_look.PROMPT_HASH} if seeing.get("model") is not None else {}
    return {**seeing, **words, "max_alerts": settings.second_look.max_alerts}


def wait_s(settings: Settings) -> float:
    """Seconds that a notification may wait for a second look: none where nobody is named who would take one. Asks nobody."""
    models = settings.language_model
    looks = settings.second_look.enabled and bool(models.vision_model) and models.engine != "template"
    return settings.second_look.hold_s if looks else 0.0


def describe(settings: Settings) -> tuple[str, bool]:
    """For people: who looks, or why nobody does and what to set, and whether it is as the settings want it."""
    found = choose(settings)
    if found.eyes is None:
        return f"no second look at alerts is taken; {ENABLED}=true has the vision model asked about their pictures", True
    if found.eyes.model is None:
        return f"alerts stay unverified: {found.eyes.reason}", False
    waits = f"notifications wait for it {settings.second_look.hold_s:g} s at most" if settings.second_look.hold_s else "notifications do not wait for it"
    return f"{found.eyes.name} takes a second look at alerts over tracks; {waits}", True
