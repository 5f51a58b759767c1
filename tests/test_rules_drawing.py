"""Drawn zones and lines in the text of a rules file: it says what was drawn, and no other line of it changes."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from video_platform import rules
from video_platform.errors import InputError, RulesError
from video_platform.rules_drawing import LINES, ZONES, Shape, add, redraw, remove, rename, shapes

BLOCK = """\
# Rules of the yard. Ask Ada before you change them.
version: 1   # of the language

zones:
  # the paved part
  plaza: {polygon: [[0.10, 0.35], [0.90, 0.35], [0.90, 0.75], [0.10, 0.75]]}   # measured in May
  gate:
    polygon:
      - [0, 0]     # top left
      - [0.2, 0]
      # the lamp stands here
      - [ 0.2 , 1.0 ]
      - [0, 1]
    cameras: ["gate-*"]

  # nothing below is a zone
lines:
  "path": { from: [0.5, 0.2], to: [0.5, 0.9] }
  kerb:
    to: [0.9, 0.8]
    from: [0.1, '0.8']

defaults: {min_score: 0.5}   # as everywhere
rules:
  - {name: person-enters, when: {enters: plaza, class: person}}
  - name: crossing
    when:
      crosses: "path"   # the only one
      class: person
"""
FLOW = "version: 1\nzones: {a: {polygon: [[0, 0], [1, 0], [1, 1], [0, 0]]}, # closed\n  b: {polygon: [[0.1, 0.1], [0.9, 0.1],\n    [0.5, 0.9],]},}\nrules: []\n"
INLINE = "{version: 1, rules: [{name: somebody, when: {appears: person}}]}"
BARE = "version: 1\r\nrules:\r\n- {name: somebody, when: {appears: person}}"
HALF = "version: 1\nzones:\n# none yet\nrules: [{name: in, when: {enters: yard, class: person}}]\n"
TEXTS = [BLOCK, FLOW, INLINE, BARE, HALF, rules.DEFAULT_TEXT]

fractions = st.integers(0, 1000).map(lambda n: n / 1000)
points = st.tuples(fractions, fractions)
corners = st.lists(points, min_size=3, max_size=7, unique=True)
ends = st.lists(points, min_size=2, max_size=2, unique=True)
names = st.sampled_from(["yard", "no", "null", "12", "zone 1", "east-gate", "the: end", "überall", "a:b", "plaza", "path"])
globs = st.sampled_from([("*",), ("yard",), ("gate-*", "12"), ('a "b" [[]c',)])


def known(text: str) -> dict[tuple[str, str], tuple]:
    return {(shape.section, shape.name): (shape.points, shape.cameras) for shape in shapes(text)}


def touched(text: str, section: str, name: str, *, whole: bool, spoken_of: bool) -> set[int]:
    """The numbers of the lines that may change: those of the shape; `whole`: of its section's heading too, `spoken_of`: of rules that have its name."""
    root = yaml.compose(text)
    found: set[int] = set()
    for key, value in root.value:
        if key.value == section:
            flow = getattr(value, "flow_style", False) or root.flow_style
            last = value.end_mark.line
            if flow:
                found |= set(range(key.start_mark.line, last + 1))
            elif whole:
                found.add(key.start_mark.line)
            for entry, body in value.value if isinstance(value, yaml.MappingNode) else []:
                if entry.value == name:
                    end = body.end_mark.line if body.flow_style else max(node.end_mark.line for node in leaves(body))
                    found |= set(range(entry.start_mark.line, end + 1))
        if key.value == "rules" and spoken_of:
            found |= {node.start_mark.line for node in leaves(value) if node.value == name}
    return set(range(text.count("\n") + 1)) if root.flow_style else found


def leaves(node: yaml.Node) -> list[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        return [node]
    children = [each for pair in node.value for each in pair] if isinstance(node, yaml.MappingNode) else node.value
    return [leaf for child in children for leaf in leaves(child)]


def rest(text: str, numbers: set[int]) -> list[str]:
    kept = [line for number, line in enumerate(text.splitlines(keepends=True)) if number not in numbers]
    return [line if line.endswith("\n") else line + ("\r\n" if "\r\n" in text else "\n") for line in kept]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TEXTS), st.data())
def test_any_sequence_of_edits_says_what_was_drawn_and_leaves_all_other_lines(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 6))):
        drawn = known(text)
        do = data.draw(st.sampled_from(["add", "redraw", "remove", "rename"] if drawn else ["add"]))
        section = data.draw(st.sampled_from([ZONES, LINES]))
        if do == "add":
            name, made, cameras = data.draw(names), tuple(data.draw(ends if section == LINES else corners)), data.draw(globs)
            if (section, name) in drawn:
                with pytest.raises(InputError, match="already"):
                    add(text, section, name, made, cameras)
                continue
            after = add(text, section, name, made, cameras)
            wanted = {**drawn, (section, name): (made, cameras)}
        else:
            section, name = data.draw(st.sampled_from(sorted(drawn)))
            before, cameras = drawn[section, name]
            if do == "redraw":
                made = data.draw(changed(section, before))
                after = redraw(text, section, name, made)
                wanted = {**drawn, (section, name): (tuple(made), cameras)}
            elif do == "remove":
                after = remove(text, section, name)
                wanted = {key: value for key, value in drawn.items() if key != (section, name)}
            else:
                taken = {each for of, each in drawn if of == section}
                after_name = data.draw(names.filter(lambda new, taken=taken: new not in taken))
                after = rename(text, section, name, after_name)
                wanted = {(section, after_name) if key == (section, name) else key: value for key, value in drawn.items()}
        assert known(after) == wanted
        whole = section not in {key for key, _ in drawn} or section not in {key for key, _ in wanted}
        old = touched(text, section, name, whole=whole, spoken_of=do == "rename")
        new = old if do == "rename" else touched(after, section, name, whole=whole, spoken_of=False)
        assert rest(text, old) == rest(after, new)
        text = after


def changed(section: str, before: tuple) -> st.SearchStrategy:
    """One corner moved, more or fewer of them, or all elsewhere."""
    if section == LINES:
        return st.one_of(ends, st.just([before[1], before[0]]), points.filter(lambda point: point != before[1]).map(lambda point: [point, before[1]]))
    at = st.integers(0, len(before) - 1)
    free = points.filter(lambda point: point not in before)
    moves = [
        corners,
        st.builds(lambda n, point: [*before[:n], point, *before[n + 1 :]], at, free),
        st.builds(lambda n, point: [*before[:n], point, *before[n:]], at, free),
        *([st.builds(lambda n: [*before[:n], *before[n + 1 :]], at)] if len(before) > 3 else []),
    ]
    return st.one_of(moves)


def test_a_moved_corner_changes_two_numbers() -> None:
    moved = [(0.10, 0.35), (0.8, 0.4), (0.90, 0.75), (0.10, 0.75)]
    assert redraw(BLOCK, ZONES, "plaza", moved) == BLOCK.replace("[[0.10, 0.35], [0.90, 0.35]", "[[0.10, 0.35], [0.8, 0.4]")


def test_corners_come_and_go_in_the_layout_that_is_there() -> None:
    more = redraw(BLOCK, ZONES, "gate", [(0, 0), (0.2, 0), (0.25, 0.5), (0.2, 1), (0, 1)])
    assert more == BLOCK.replace("      - [0.2, 0]\n", "      - [0.2, 0]\n      - [0.25, 0.5]\n")
    assert redraw(more, ZONES, "gate", [(0, 0), (0.2, 0), (0.2, 1), (0, 1)]) == BLOCK
    fewer = redraw(BLOCK, ZONES, "plaza", [(0.10, 0.35), (0.90, 0.35), (0.10, 0.75)])
    assert "plaza: {polygon: [[0.10, 0.35], [0.90, 0.35], [0.10, 0.75]]}   # measured in May\n" in fewer


def test_a_flipped_line_keeps_its_keys_where_they_are() -> None:
    assert redraw(BLOCK, LINES, "kerb", [(0.9, 0.8), (0.1, 0.8)]) == BLOCK.replace("to: [0.9, 0.8]", "to: [0.1, 0.8]").replace("[0.1, '0.8']", "[0.9, '0.8']")


def test_new_shapes_stand_behind_those_of_their_section_or_make_it() -> None:
    text = add(BLOCK, ZONES, "door", [(0, 0), (0.5, 0), (0.123456, 1)], ["yard"])
    assert text == BLOCK.replace('["gate-*"]\n', '["gate-*"]\n  door: {polygon: [[0, 0], [0.5, 0], [0.123, 1]], cameras: ["yard"]}\n')
    text = add(rules.DEFAULT_TEXT, LINES, "way", [(0, 0.5), (1, 0.5)])
    assert text == rules.DEFAULT_TEXT.replace("rules:", "lines:\n  way: {from: [0, 0.5], to: [1, 0.5]}\nrules:")
    assert add(text, ZONES, "z", [(0, 0), (1, 0), (1, 1)]) == text.replace("lines:", "zones:\n  z: {polygon: [[0, 0], [1, 0], [1, 1]]}\nlines:")


def test_a_new_name_reaches_the_rules_that_speak_of_it() -> None:
    text = rename(rename(BLOCK, ZONES, "plaza", "the: yard"), LINES, "path", "way")
    wanted = BLOCK.replace('crosses: "path"', "crosses: way").replace('  "path":', "  way:")
    assert text == wanted.replace("  plaza: {", '  "the: yard": {').replace("enters: plaza", 'enters: "the: yard"')
    assert [rule.when.zone or rule.when.line for rule in rules.parse(text).rules] == ["the: yard", "way"]


def test_what_is_removed_leaves_its_rules_with_a_problem_at_their_place() -> None:
    text = remove(BLOCK, ZONES, "plaza")
    assert "the paved part" in text
    with pytest.raises(RulesError, match=r"line 24, column \d+: .*no zone is called 'plaza'"):
        rules.parse(text)


def test_a_text_with_other_problems_can_be_drawn_on() -> None:
    text = BLOCK.replace("class: person}", "class: [}", 1)
    with pytest.raises(RulesError, match="line 25"):
        shapes(text)
    text = BLOCK.replace("version: 1", "version: 7").replace("[0, 1]", "[0, 8]").replace("enters: plaza", "enters: nowhere")
    assert [(shape.section, shape.name) for shape in shapes(text)] == [(ZONES, "plaza"), (LINES, "path"), (LINES, "kerb")]
    assert shapes(add(text, ZONES, "more", [(0, 0), (1, 0), (1, 1)]))[1] == Shape(ZONES, "more", ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda: redraw(BLOCK, ZONES, "nowhere", [(0, 0), (1, 0), (1, 1)]), "no zone 'nowhere'"),
        (lambda: redraw(BLOCK, ZONES, "plaza", [(0, 0), (1, 0)]), "3 to 200 corners, not 2"),
        (lambda: redraw(BLOCK, ZONES, "plaza", [(0, 0), (1, 0), (1, float("nan"))]), "outside the picture"),
        (lambda: redraw(BLOCK, LINES, "path", [(0, 0), (1, 1.1)]), "outside the picture"),
        (lambda: add(BLOCK, "channels", "x", [(0, 0), (1, 1)]), "a channel has"),
        (lambda: add(BLOCK, LINES, "-x", [(0, 0), (1, 1)]), "is not a name"),
        (lambda: add(BLOCK, LINES, "x: {}\nrules", [(0, 0), (1, 1)]), "is not a name"),
        (lambda: rename(BLOCK, LINES, "path", "kerb"), "already"),
        (lambda: remove(BLOCK, LINES, "x"), "no line 'x'"),
        (lambda: add("version: 1\nzones: 7\nrules: []\n", ZONES, "x", [(0, 0), (1, 0), (1, 1)]), "mend line 2"),
        (lambda: add("- a\n", ZONES, "x", [(0, 0), (1, 0), (1, 1)]), "no mapping"),
        (lambda: add("version: 1\nrules: []\n...\n", ZONES, "x", [(0, 0), (1, 0), (1, 2)]), "outside"),
        (lambda: remove("version: 1\nzones: {a: {polygon: []}}\nzones: {b: {polygon: []}}\n", ZONES, "a"), "line 3: the key 'zones' is there twice"),
        (lambda: add(BLOCK.replace("\n", "\r"), ZONES, "x", [(0, 0), (1, 0), (1, 1)]), "layout of this text"),
    ],
)
def test_what_cannot_be_drawn_is_refused(edit, message: str) -> None:
    with pytest.raises(InputError, match=message):
        edit()
