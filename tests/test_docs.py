"""What a person can set, type, send or ask for stands in docs/, and what the docs and the README tell people to type exists."""

import re
from pathlib import Path

import pytest
import seeded
import typer.main

from video_platform import events, rules, settings
from video_platform.cli.app import app

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def page(name):
    return (DOCS / f"{name}.md").read_text()


def commands(group=None, prefix=()):
    """Every command of `vp` as a tuple of words, with its options."""
    group = group or typer.main.get_command(app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*prefix, name))
        else:
            yield (*prefix, name), {option for parameter in command.params for option in parameter.opts if option.startswith("--")}


COMMANDS = dict(commands())


@pytest.mark.parametrize("name", sorted(settings.variables()))
def test_every_setting_is_documented(name):
    assert f"| `{name}` |" in page("settings")


def test_no_setting_is_documented_that_does_not_exist():
    assert set(re.findall(r"^\| `(VIDEO_PLATFORM_\w+)`", page("settings"), re.MULTILINE)) == set(settings.variables())


@pytest.mark.parametrize("words", sorted(COMMANDS), ids=" ".join)
def test_every_command_and_option_is_documented(words):
    text = page("cli")
    assert f"vp {' '.join(words)}" in text
    missing = {option for option in COMMANDS[words] if option not in text and option not in SAID_ONCE}
    assert not missing


SAID_ONCE = {"--help", "--output", "--format", "--asset"}
"""Options that the page shows in their short form, or that every command has."""


@pytest.mark.parametrize("event_type", sorted(events.BODIES))
def test_every_event_type_is_documented(event_type):
    assert f"`{event_type}`" in page("events")


@pytest.mark.parametrize("topic", events.TOPICS)
def test_every_topic_is_documented(topic):
    assert f"`{topic}`" in page("events")


@pytest.mark.parametrize("kind", rules.KINDS)
def test_every_rule_kind_is_documented(kind):
    assert re.search(rf"`[^`\n]*\b{kind}\b", page("rules"))


def test_every_api_route_is_documented(tmp_path):
    from video_platform.api import create_api
    from video_platform.api.services import Services

    platform, catalog = seeded.open_home(tmp_path)
    with platform:
        paths = create_api(Services(platform, catalog)).openapi()["paths"]
    text = page("api")
    missing = [f"{method.upper()} /api{path}" for path, methods in paths.items() for method in methods if f"{method.upper()} /api{path}" not in text]
    assert not missing


def test_every_dependency_is_documented_with_its_licence():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *(name for extra in project["optional-dependencies"].values() for name in extra)]
    rows = {row.split("|")[1].strip(): row.split("|")[3].strip() for row in page("dependencies").splitlines() if row.startswith("| ")}
    for requirement in named:
        name = re.match(r"[\w.-]+", requirement)[0]
        assert rows.get(name), f"{name} has no row in docs/dependencies.md"


def typed_lines():
    """Lines of code blocks in README and docs that begin with one of our commands."""
    for path in (ROOT / "README.md", *DOCS.glob("*.md")):
        for block in re.findall(r"^```(?:\w*)\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                words = line.removeprefix("$ ").removeprefix(".venv/bin/").split()
                if words[:1] in (["vp"], ["make"]):
                    yield pytest.param(words, id=f"{path.name}: {line.strip()[:60]}")


@pytest.mark.parametrize("words", list(typed_lines()))
def test_every_example_uses_what_exists(words):
    program, *rest = words
    if program == "make":
        targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert {word for word in rest if "=" not in word} <= targets
        return
    known = next((name for name in (tuple(rest[:2]), tuple(rest[:1])) if name in COMMANDS), None)
    assert known is not None, f"there is no command vp {' '.join(rest[:2])}"
    options = {word.partition("=")[0] for word in rest if word.startswith("--") and word != "--"}
    assert options <= COMMANDS[known] | {"--help"}


def test_links_of_readme_and_docs_lead_somewhere():
    for path in (ROOT / "README.md", ROOT / "THIRD-PARTY.md", *DOCS.glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} links to {target}, which is not there"


NAMED_TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page("security"))))


@pytest.mark.parametrize(("path", "name"), NAMED_TESTS, ids=lambda each: Path(each).name)
def test_every_test_that_the_page_on_security_names_exists(path, name):
    assert re.search(rf"^\s*def {name}\(", (ROOT / path).read_text(), re.MULTILINE)


def test_every_row_of_the_page_on_security_names_a_test():
    rows = [row for row in page("security").partition("## Risks, defences, tests")[2].splitlines() if row.startswith("| ")]
    assert len(rows) > 10
    assert [row for row in rows if "`tests/" not in row and not row.startswith("| risk |")] == []


def test_what_ships_of_others_is_what_the_notice_says():
    import hashlib

    for name, digest in re.findall(r"^\| `([^`]+)` \|.*`([0-9a-f]{64})` \|$", (ROOT / "THIRD-PARTY.md").read_text(), re.MULTILINE):
        assert hashlib.sha256((ROOT / name).read_bytes()).hexdigest() == digest
