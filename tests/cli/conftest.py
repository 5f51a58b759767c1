import json
import os
from dataclasses import dataclass

import pytest
import seeded

from video_platform import cli, settings


@dataclass(frozen=True)
class Ran:
    """What a command did: exit status, standard output, standard error."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A fresh home named by the environment, and nothing else of ours in it."""
    for name in list(os.environ):
        if name.startswith(settings.PREFIX) or name == "DAGSTER_HOME":
            monkeypatch.delenv(name)
    folder = tmp_path / "home"
    monkeypatch.setenv("VIDEO_PLATFORM_HOME", str(folder))
    monkeypatch.setenv("VIDEO_PLATFORM_LANGUAGE_MODEL__ENGINE", "template")
    monkeypatch.setenv("COLUMNS", "200")
    return folder


@pytest.fixture
def vp(capfd):
    """Run `vp` with these arguments in this process."""

    def run(*arguments):
        capfd.readouterr()
        status = cli.main([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        return Ran(status, captured.out, captured.err)

    return run


@pytest.fixture
def filled(tmp_path):
    """A home with one processed video that has an alert, and one that was only taken in: (processed, received, alert id)."""
    platform, catalog = seeded.open_home(tmp_path)
    processed = seeded.ingest(platform, tmp_path, name="crossing.mp4", camera="gate")
    alert = seeded.process(platform, processed, tmp_path)[0]
    received = seeded.ingest(platform, tmp_path, name="second.mp4", camera="yard", recorded_at=None)
    catalog.close()
    platform.close()
    return processed, received, alert
