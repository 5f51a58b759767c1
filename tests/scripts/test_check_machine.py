"""What stops an installation before it begins."""

import shutil
from types import SimpleNamespace

import pytest

from scripts import check_machine

GB = 1024**3


@pytest.fixture
def free(monkeypatch):
    """Say how many bytes the disk has left."""
    return lambda size: monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=size))


def test_a_machine_that_can_run_the_tests_lacks_nothing(free):
    free(9 * GB)
    assert check_machine.problems("full") == []


def test_a_disk_too_small_for_the_build_for_graphics_cards_is_named(free, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    free(6.4 * GB)
    (said,) = check_machine.problems("full")
    assert said.startswith("6.4 GB are free in ")
    assert "8 GB are needed" in said


def test_the_build_for_processors_needs_less(free, monkeypatch, tmp_path):
    (tmp_path / "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl").touch()
    monkeypatch.setenv("PIP_FIND_LINKS", f"/nowhere {tmp_path}")
    free(6.4 * GB)
    assert check_machine.problems("full") == []
    free(2.9 * GB)
    (said,) = check_machine.problems("full")
    assert "3 GB are needed" in said
