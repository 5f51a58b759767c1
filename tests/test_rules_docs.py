"""docs/rules.md: every example means something, every kind has its picture, and the pictures show what the evaluation finds."""

import re
from pathlib import Path

import pytest

from scripts import rule_pictures
from video_platform import rules, rules_files
from video_platform.model_registry import COCO_CLASSES

PAGE = Path(__file__).parents[1] / "docs" / "rules.md"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
PLACES = BLOCKS[0].split("rules:")[0]
ON_TRACKS = [kind for kind in rules.KINDS if kind not in rules.DESCRIBED]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0][:50])
def test_every_example_is_valid(block, tmp_path):
    text = block if "version:" in block else PLACES + "rules:\n" + "".join(f"  {line}\n" for line in block.splitlines())
    (tmp_path / "rules.yaml").write_text(text)
    for name in re.findall(r"[\w/]+\.yaml", text.partition("include:")[2].partition("\n")[0]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("version: 1\n")
    rule_set = rules_files.load(tmp_path / "rules.yaml", COCO_CLASSES)[1]
    assert rule_set.rules or rule_set.zones


@pytest.mark.parametrize("kind", rules.DESCRIBED)
def test_every_kind_that_no_track_answers_has_an_example(kind):
    assert any(re.search(rf"when: {{{kind}:", block) for block in BLOCKS)


@pytest.mark.parametrize("kind", ON_TRACKS)
def test_every_kind_of_tracks_has_an_example_and_its_picture_shows_an_alert(kind):
    assert any(re.search(rf"when: {{{kind}:", block) for block in BLOCKS)
    assert f"(images/rules/{kind}.svg)" in PAGE.read_text()
    assert len(rule_pictures.found(rule_pictures.SCENES[kind])) == 1
    assert (rule_pictures.FOLDER / f"{kind}.svg").read_text() == rule_pictures.picture(kind)


def test_every_inline_condition_of_the_table_parses():
    page = PAGE.read_text()
    names = {"CLASS": "person", "ZONE": "plaza", "LINE": "path", "CAMERA": "yard"}
    conditions = re.findall(r"`({\w+: [^`]*})`", page.split("## Kinds")[1].split("### appears")[0])
    assert len(conditions) >= len(rules.KINDS)
    for condition in conditions:
        rule = re.sub(r"[A-Z]{4,}", lambda found: names[found[0]], condition)
        assert rules.parse(f"{PLACES}rules: [{{name: r, when: {rule}}}]", classes=COCO_CLASSES).rules
