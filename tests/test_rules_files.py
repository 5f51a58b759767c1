"""Rules files that include others."""

import pytest

from video_platform import rules, rules_files
from video_platform.errors import RulesError

ZONES = "version: 1\n# where\nzones:\n  plaza: {polygon: [[0, 0], [1, 0], [1, 1]]}\nlines: {path: {from: [0, 0], to: [1, 1]}}\n"
MAIN = "version: 1\ninclude: [zones.yaml]\ndefaults: {cooldown: 5s}\nrules:\n  - {name: in, when: {enters: plaza, class: person}}\n"


@pytest.fixture
def write(tmp_path):
    def files(**texts):
        for name, text in texts.items():
            target = tmp_path / (name.replace("__", "/") + ".yaml")
            target.parent.mkdir(exist_ok=True)
            target.write_text(text)
        return tmp_path / "main.yaml"

    return files


def problems(path):
    with pytest.raises(RulesError) as caught:
        rules_files.load(path, ["person", "dog"])
    return [str(problem) for problem in caught.value.problems]


def test_a_file_that_includes_nothing_is_its_own_text(write):
    path = write(main=rules.DEFAULT_TEXT)
    assert rules_files.load(path, None) == (rules.DEFAULT_TEXT, rules.parse(rules.DEFAULT_TEXT))
    assert rules_files.read_file(path) == rules.DEFAULT_TEXT


def test_what_is_included_counts_and_the_text_needs_no_other_file(write, tmp_path):
    path = write(main=MAIN, zones=ZONES)
    text, rule_set = rules_files.load(path, ["person"])
    (tmp_path / "zones.yaml").unlink()
    assert rules.parse(text).hash == rule_set.hash
    assert (list(rule_set.zones), list(rule_set.lines), rule_set.rules[0].cooldown_s) == (["plaza"], ["path"], 5.0)
    assert "include" not in text.splitlines()[1:]


def test_the_text_is_the_same_each_time(write):
    path = write(main=MAIN, zones=ZONES)
    assert rules_files.read_file(path) == rules_files.load(path, None)[0] == rules_files.read_file(path)


def test_files_include_files_relative_to_themselves_and_each_once(write):
    main = MAIN.replace("[zones.yaml]", "[sites/north.yaml, zones.yaml]")
    north = "version: 1\ninclude: ../zones.yaml\nrules: [{name: over, when: {crosses: path, class: dog}}]\n"
    rule_set = rules_files.load(write(main=main, zones=ZONES, sites__north=north), ["person", "dog"])[1]
    assert [rule.name for rule in rule_set.rules] == ["over", "in"]
    assert list(rule_set.zones) == ["plaza"]


def test_every_problem_is_named_in_its_own_file(write):
    zones = ZONES.replace("[1, 1]]", "[1, 7]]").replace("lines:", "lnes:")
    found = problems(write(main=MAIN.replace("person", "persn"), zones=zones))
    assert len(found) == 3
    assert "line 5, column 45: rules[0].when.class: the detector has no class 'persn'" in found[0]
    assert found[1].startswith("zones.yaml: line 4, column 41: zones.plaza.polygon[2][1]: a fraction of the frame")
    assert found[2].startswith("zones.yaml: line 5, column 1: lnes: 'lnes' has no place in an included file")


def test_what_is_there_twice_is_a_problem(write):
    found = problems(write(main=MAIN.replace("defaults:", "zones: {plaza: {polygon: [[0, 0], [1, 0], [1, 1]]}}\ndefaults:"), zones=ZONES))
    assert found == ["line 3, column 9: zones.plaza: this key is there twice; keep one"]


def test_circles_are_seen(write):
    found = problems(write(main=MAIN, zones=ZONES.replace("# where", "include: main.yaml")))
    assert found == ["zones.yaml: line 2, column 10: include: main.yaml includes zones.yaml includes main.yaml: a circle"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../zones.yaml", "sites/../../zones.yaml", "zones.txt", "''", "[a]", "/tmp/x.yaml"])
def test_nothing_outside_the_folder_is_read(write, name):
    found = problems(write(main=MAIN.replace("[zones.yaml]", f"[{name}]")))
    assert any("cannot be included: only .yaml files in the folder" in problem or "the name of a file beside this one" in problem for problem in found)


def test_a_link_that_leads_outside_is_not_followed(write, tmp_path):
    inside = tmp_path / "inside"
    (tmp_path / "secret.yaml").write_text(ZONES)
    path = write(inside__main=MAIN)
    (inside / "zones.yaml").symlink_to(tmp_path / "secret.yaml")
    assert "cannot be included" in problems(inside / "main.yaml")[0]
    assert path.name == "main.yaml"


@pytest.mark.parametrize(
    ("zones", "expected"),
    [
        (None, "line 2, column 11: include: 'zones.yaml' cannot be read: No such file or directory"),
        ("- 1\n", "'zones.yaml' holds no rules: it is no mapping"),
        ("a: &x 1\n", "zones.yaml: line 1, column 4: anchors (&) and aliases (*) are not read"),
        ("zones: {}\n", "zones.yaml: line 1, column 1: version: an included file says `version: 1` too"),
        ("version: 1\nzones: []\nrules: []\n", "no zone is called 'plaza'"),
        ("version: 1\nrules: {}\n", "zones.yaml: line 2, column 8: rules: this is not what 'rules' is in the file that includes it"),
        ("version: 1\ndefaults: {cooldown: 1s}\n", "zones.yaml: line 2, column 1: defaults: 'defaults' has no place in an included file"),
    ],
)
def test_what_cannot_be_included(write, zones, expected):
    path = write(main=MAIN, **({} if zones is None else {"zones": zones}))
    assert any(expected in problem for problem in problems(path)), problems(path)


def test_too_many_files(write):
    many = {f"f{n}": "version: 1\nzones: {}\n" for n in range(30)}
    main = MAIN.replace("[zones.yaml]", str([f"{name}.yaml" for name in many]))
    assert any("more than 20 files" in problem for problem in problems(write(main=main, **many)))


def test_text_alone_includes_nothing():
    with pytest.raises(RulesError, match=r"include: only a file can include others"):
        rules.parse(MAIN)
