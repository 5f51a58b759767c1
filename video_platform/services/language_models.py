"""The language model that the settings name, whatever server it is behind."""

from video_platform.services import ollama, openai_compatible
from video_platform.services.ollama import Choice, State
from video_platform.settings import LanguageModelSettings

__all__ = ["Choice", "State", "choose", "describe", "seer", "writer"]


def choose(settings: LanguageModelSettings) -> Choice:
    """Who writes summaries now: a model, or the template with the reason why. Never raises."""
    return openai_compatible.choose(settings) if settings.engine == "openai_compatible" else ollama.choose(settings)


def writer(settings: LanguageModelSettings) -> State:
    """How it stands with the model that writes summaries. Never raises."""
    return openai_compatible.writer(settings) if settings.engine == "openai_compatible" else ollama.writer(settings)


def seer(settings: LanguageModelSettings) -> State | None:
    """How it stands with the model that pictures are shown to; None when the settings name none. Never raises."""
    return openai_compatible.seer(settings) if settings.engine == "openai_compatible" else ollama.seer(settings)


def describe(settings: LanguageModelSettings) -> str:
    """One line for people: what answers, with which models, and who will write summaries. Never raises."""
    return writer(settings).found
