"""The words that models are asked with, one file each; whoever asks puts the hash of its files into manifests, so that changed words are asked again."""

from functools import cache
from importlib.resources import files


@cache
def prompt(name: str) -> str:
    """The text of `<name>.txt`, without the line end at its end."""
    return (files(__name__) / f"{name}.txt").read_text(encoding="utf-8").rstrip("\n")
