"""The schema that editors use says what reading a file says, as far as a schema can."""

import json
from pathlib import Path

import jsonschema
import pytest
import test_rules
import yaml

from video_platform import rules, rules_json_schema
from video_platform.errors import RulesError
from video_platform.model_registry import COCO_CLASSES

STORED = Path(__file__).parents[1] / "docs" / "rules.schema.json"
VALIDATOR = jsonschema.Draft202012Validator(rules_json_schema.schema())


def test_the_published_file_is_the_schema_of_this_version():
    jsonschema.Draft202012Validator.check_schema(rules_json_schema.schema())
    assert json.loads(STORED.read_text()) == rules_json_schema.schema()
    assert STORED.read_text() == rules_json_schema.text()


@pytest.mark.parametrize("text", [test_rules.FULL, rules.DEFAULT_TEXT, (STORED.parents[1] / "samples" / "rules.demo.yaml").read_text()])
def test_what_can_be_read_fits_it(text):
    assert list(VALIDATOR.iter_errors(yaml.safe_load(text))) == []


@pytest.mark.parametrize("name", ["Tür", "T\u0075\u0308r", "दरवाज़ा", "ประตू", "gate-1/a.b:c d", "_x", "入口"])
def test_names_of_any_script_are_names_to_readers_and_to_editors(name):
    zones = f"zones: {{{json.dumps(name)}: {{polygon: [[0, 0], [1, 0], [1, 1]]}}}}"
    text = f"version: 1\n{zones}\nrules: [{{name: a, when: {{appears: person, in: {json.dumps(name)}}}}}]\n"
    assert list(rules.parse(text).zones) == [name]
    assert list(VALIDATOR.iter_errors(yaml.safe_load(text))) == []


@pytest.mark.parametrize("name", ["-a", "a ", "a\nb", "a;b", "a<b", "\u0301a", "a\u200bb", "a→b"])
def test_signs_make_no_name(name):
    with pytest.raises(RulesError):
        rules.parse(f"version: 1\nzones: {{{json.dumps(name)}: {{polygon: [[0, 0], [1, 0], [1, 1]]}}}}\nrules: []\n")


BEYOND_A_SCHEMA = ("persn", "palza", "crosses: plaza", "opps", "Europe/Belin", "passwd", "min_size: 0.2", "10 days", "1 problem")
"""What only the whole file, the detector or the list of time zones can tell."""


@pytest.mark.parametrize("rule", [values[0] for values in test_rules.WRONG_RULES])
def test_what_is_wrong_in_itself_does_not_fit_it(rule):
    text = test_rules.with_rule(rule)
    with pytest.raises(RulesError):
        rules.parse(text, classes=COCO_CLASSES)
    if not any(part in rule for part in BEYOND_A_SCHEMA):
        assert list(VALIDATOR.iter_errors(yaml.safe_load(text))), rule
