"""The JSON Schema of a rules file, for editors: made from the tables that reading a file goes by.

It says which keys there are and what each holds. What needs the file as a whole (zones that exist, polygons that cross themselves, names that are there
twice, a file without rules that no other includes) and the classes of the detector are checked by `vp rules check` alone.
"""

import json
from typing import Any

from video_platform.records import Severity
from video_platform.rules_conditions import DIRECTIONS, KEYS, KindKeys
from video_platform.rules_schema import DEFAULTS, INCLUDE, MAX_ENTRIES, MAX_POINTS
from video_platform.rules_values import DAYS
from video_platform.rules_yaml import DURATION, MAX_NAME, MAX_TEXT, NAME

ID = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def text() -> str:
    """The schema as it stands in docs/rules.schema.json."""
    return json.dumps(schema(), indent=2) + "\n"


def schema() -> Schema:
    """The schema of a whole file, or of one that others include."""
    named = {
        "zones": _entry({"polygon": _ref("polygon"), "cameras": _ref("cameras")}, "polygon"),
        "lines": _entry({"from": _ref("point"), "to": _ref("point"), "cameras": _ref("cameras")}, "from", "to"),
        "ignore": _entry({"polygon": _ref("polygon"), "cameras": _ref("cameras"), "class": _ref("texts")}, "polygon"),
        "channels": _entry({"url_env": {"type": "string", "pattern": r"^[A-Za-z_]\w*$"}}, "url_env"),
    }
    sections = {name: {"type": "object", "propertyNames": _ref("name"), "additionalProperties": entry} for name, entry in named.items()}
    return {
        "$schema": ID,
        "title": "Rules of the video platform",
        "type": "object",
        "required": ["version"],
        "additionalProperties": False,
        "properties": {
            "version": {"enum": [1, "1"]},
            INCLUDE: _one_or_more({"type": "string"}),
            **sections,
            "defaults": _object({name: _OPTIONS[name] for name in DEFAULTS}),
            "rules": {"type": "array", "maxItems": MAX_ENTRIES, "items": _ref("rule")},
        },
        "$defs": {
            "name": {"type": "string", "pattern": f"^{NAME.pattern}$", "maxLength": MAX_NAME},
            "text": {"type": ["string", "number", "boolean"], "maxLength": MAX_TEXT},
            "texts": _one_or_more(_ref("text")),
            "cameras": _one_or_more(_ref("text")),
            "duration": {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": f"^{DURATION.pattern}$"}]},
            "fraction": {"type": "number", "minimum": 0, "maximum": 1},
            "point": {"type": "array", "minItems": 2, "maxItems": 2, "items": _ref("fraction")},
            "polygon": {"type": "array", "minItems": 3, "maxItems": MAX_POINTS, "items": _ref("point")},
            "time_of_day": {"anyOf": [{"type": "string", "pattern": r"^([01]?\d|2[0-4]):[0-5]\d$"}, {"type": "integer", "minimum": 0, "maximum": 1440}]},
            "schedule": _schedule(),
            "rule": _rule(),
            **{f"when_{kind}": _condition(kind, keys) for kind, keys in KEYS.items()},
        },
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _one_or_more(item: Schema) -> Schema:
    return {"anyOf": [item, {"type": "array", "minItems": 1, "items": item}]}


def _object(properties: Schema, *required: str) -> Schema:
    return {"type": "object", "required": list(required), "additionalProperties": False, "properties": properties}


_entry = _object

_OPTIONS: Schema = {
    "min_score": {"anyOf": [_ref("fraction"), {"type": "object", "additionalProperties": _ref("fraction")}]},
    "severity": {"enum": [str(severity) for severity in Severity]},
    "cooldown": _ref("duration"),
    "notify_again_after": _ref("duration"),
    "merge": _ref("duration"),
    "max_gap": _ref("duration"),
    "min_frames": {"type": "integer", "minimum": 1},
    "min_size": _ref("fraction"),
    "max_size": _ref("fraction"),
    "moving": {"type": "boolean"},
}

_VALUES: Schema = {
    "class": _ref("texts"),
    "classes": _ref("texts"),
    "zone": _ref("text"),
    "in": _ref("text"),
    "line": _ref("text"),
    "direction": {"enum": list(DIRECTIONS)},
    "for": _ref("duration"),
    "at_least": {"type": "integer", "minimum": 1},
    "near": {"type": "array", "minItems": 2, "maxItems": 2, "items": _ref("text")},
    "within": _ref("fraction"),
    "above": {"type": "number", "minimum": 0, "maximum": 100},
    "question": _ref("text"),
    "words": _ref("texts"),
    "camera": _ref("text"),
}


def _condition(kind: str, keys: KindKeys) -> Schema:
    others = {key: _VALUES[key] for key in (*keys.required, *keys.optional)}
    return _object({kind: _VALUES[keys.value], **others}, kind, *keys.required)


def _rule() -> Schema:
    properties = {
        "name": _ref("name"),
        "when": {"oneOf": [_ref(f"when_{kind}") for kind in KEYS]},
        **{name: _OPTIONS[name] for name in DEFAULTS},
        "channels": _one_or_more(_ref("name")),
        "cameras": _ref("cameras"),
        "schedule": _ref("schedule"),
    }
    return _object(properties, "name", "when")


def _schedule() -> Schema:
    """Times of day without quotes are numbers of minutes to readers of YAML 1.1 (`18:00` is 1080), and fit too."""
    day = f"({'|'.join(DAYS)})"
    days = _one_or_more({"type": "string", "pattern": f"^{day}(-{day})?$"})
    return _object({"days": days, "from": _ref("time_of_day"), "to": _ref("time_of_day"), "timezone": {"type": "string"}}, "timezone")
