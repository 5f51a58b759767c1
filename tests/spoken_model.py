"""The real speech model and a voice that speaks to it; a machine that lacks one of them skips these tests by name, and with CI=true fails them."""

import os
from functools import cache
from pathlib import Path

import pytest

from benchmarks import spoken
from video_platform import model_files, model_registry, speech_model
from video_platform.errors import PlatformError
from video_platform.services import model_downloads
from video_platform.settings import ModelSettings, Settings

ENGLISH = (
    "There is a fire on the second floor. Please call for help. Everybody leaves the building by the stairs. "
    "A silver estate circles twice and finds no free space. Somebody scratches the door of the blue car with a key."
)
GERMAN = (
    "Der Lastwagen fährt langsam rückwärts an die Rampe. Ein Arbeiter in gelber Weste weist ihn ein. "
    "Zwei Paletten mit Wasserflaschen werden mit dem Gabelstapler abgeladen. Ein Karton fällt herunter und platzt auf dem Beton auf."
)


def missing(what: str) -> None:
    """Skip the test, loudly; with CI=true fail it, so that nothing is left out unseen."""
    text = f"SPEECH IS NOT TESTED: {what}; scripts/install_speech.sh and `make setup` install what is needed"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(text)
    pytest.skip(text)


def pulled(folder: Path) -> Path:
    """A folder of models with whisper-tiny.en in it, as `vp models pull` leaves it."""
    if spoken.espeak() is None:
        missing("espeak-ng is not installed")
    settings = Settings(home=folder, models=ModelSettings(folder=folder))
    registry = model_registry.of(settings)
    entry = registry.entries[speech_model.DEFAULT]
    if model_files.without(entry):
        missing("the extra [speech] is not installed")
    try:
        model_downloads.pull(settings, registry, entry)
    except PlatformError as error:
        missing(error.message)
    return folder


@cache
def said(text: str, voice: str = "en-us"):
    """Samples of this text, spoken once for all tests."""
    return spoken.say(text, voice)
