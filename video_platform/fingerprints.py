"""What a result was made from, as one hash; and what a result says, as another.

A *fingerprint* covers the version of an asset's own logic, its configuration and the content hashes of its inputs: equal fingerprints mean that making the
asset again would give the same content. A *content hash* covers canonical values (rounded, sorted), not bytes, because encoders and Parquet writers differ
by thread count and version.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from functools import lru_cache
from pathlib import PurePath

from pydantic import BaseModel

FLOAT_DIGITS = 4
"""Decimals that count in a content hash: 0.1 ms of time, 0.1 pixel of a 1,000-pixel picture; float32 noise of different CPUs stays below it."""


def canonical(value: object, digits: int = FLOAT_DIGITS) -> object:
    """`value` as plain JSON types with floats rounded and mapping keys sorted; TypeError for anything that has no canonical form."""
    if isinstance(value, Enum):
        return canonical(value.value, digits)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return repr(value)
        rounded = round(value, digits)
        return int(rounded) if rounded == int(rounded) else rounded
    if isinstance(value, date):  # an instant is one too
        return value.isoformat()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, BaseModel):
        return canonical(value.model_dump(), digits)
    if is_dataclass(value) and not isinstance(value, type):
        return {name: canonical(getattr(value, name), digits) for name in _fields(type(value))}
    if isinstance(value, Mapping):
        return {str(key): canonical(value[key], digits) for key in sorted(value, key=str)}
    if isinstance(value, set | frozenset):
        return sorted((canonical(item, digits) for item in value), key=repr)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [canonical(item, digits) for item in value]
    raise TypeError(f"no canonical form for {type(value).__name__}; give plain values")


@lru_cache(maxsize=256)
def _fields(kind: type) -> tuple[str, ...]:
    """The names of a dataclass's fields, sorted as keys are."""
    return tuple(sorted(field.name for field in fields(kind)))


def content_hash(value: object) -> str:
    """SHA-256 (64 hex digits) over the canonical form of `value`."""
    return hash_of_text(text_of(value))


def text_of(value: object) -> str:
    """The canonical form of `value` as JSON, of which hashes are made."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def text_of_mapping(texts: Mapping[str, str]) -> str:
    """The text of a mapping whose values are texts already, as where thousands of mappings share most of what they hold."""
    return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{texts[name]}" for name in sorted(texts)) + "}"


def hash_of_text(text: str) -> str:
    """SHA-256 (64 hex digits) of such a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint(code_version: str, configuration: Mapping[str, object], inputs: Mapping[str, str]) -> str:
    """SHA-256 over what an asset is made from; `inputs` maps asset name to content hash."""
    return content_hash({"code_version": code_version, "configuration": configuration, "inputs": inputs})
