"""Rules files that include others: read together, with every problem at its place in its own file, and written out as one text that needs no other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from video_platform.errors import Problem, RulesError
from video_platform.rules_conditions import Classes
from video_platform.rules_schema import INCLUDE, SECTIONS, VERSION, read_root
from video_platform.rules_values import RuleSet
from video_platform.rules_yaml import MAX_BYTES, Reader, read_text

MAX_FILES = 20
"""Files of one rule set."""

SUFFIXES = (".yaml", ".yml")


def read_file(path: Path) -> str:
    """The text of a rules file; where it includes others, one text with what they say, which means the same.

    Raises:
        OSError, ValueError: the file cannot be read.
        RulesError: what it includes cannot be read; a file that includes nothing is not looked at closer.
    """
    text, root, reader, written_out = _together(path)
    if not written_out or root is None:
        return text
    if reader.problems:
        raise RulesError(reader.listed(), str(path))
    assert isinstance(root, yaml.MappingNode)
    return _written_out(root, path)


def load(path: Path, classes: Sequence[str] | Classes | None) -> tuple[str, RuleSet]:
    """The text as `read_file` gives it, and what it means; `classes` are what the detector can name.

    Raises:
        OSError, ValueError: the file cannot be read.
        RulesError: with every problem, each with its file (where that is an included one), line, column and field.
    """
    text, root, reader, written_out = _together(path)
    rule_set = None if root is None else read_root(reader, reader.node(root), classes)
    if rule_set is None or reader.problems:
        raise RulesError(reader.listed(), str(path))
    return (_written_out(root, path) if written_out and isinstance(root, yaml.MappingNode) else text), rule_set


def _together(path: Path) -> tuple[str, yaml.Node | None, Reader, bool]:
    """The text of a file, what it says together with all that it includes (None where it is not YAML), and whether it includes anything."""
    text, reader = read_text(path), Reader()
    root = reader.compose(text)
    if not isinstance(root, yaml.MappingNode) or _value(root, INCLUDE) is None:
        return text, root, reader, False
    _Files(reader, path.parent.resolve(), [path.resolve()]).take_in(root, path, (path.name,))
    return text, root, reader, True


@dataclass
class _Files:
    """Taking files in: all lie in `folder` or below it."""

    reader: Reader
    folder: Path
    read: list[Path] = field(default_factory=list)

    def take_in(self, root: yaml.MappingNode, path: Path, chain: tuple[str, ...]) -> None:
        """Put what `root` includes before what it says itself, and the key away."""
        named = _value(root, INCLUDE)
        root.value = [(key, value) for key, value in root.value if key.value != INCLUDE]
        if named is None:
            return
        items = named.value if isinstance(named, yaml.SequenceNode) else [named]
        for item in reversed(items):
            other = self._file(item, path, chain)
            if other is not None:
                _merge(self.reader, other, root)

    def _file(self, item: yaml.Node, path: Path, chain: tuple[str, ...]) -> yaml.MappingNode | None:
        """One included file with what it includes; None with a problem where it cannot be used, or when it is there already."""
        if not isinstance(item, yaml.ScalarNode) or not item.value.strip():
            return self._problem(item, "the name of a file beside this one is needed here, such as zones.yaml")
        target = (path.parent / item.value).resolve()
        if Path(item.value).is_absolute() or not target.is_relative_to(self.folder) or target.suffix not in SUFFIXES:
            return self._problem(item, f"{item.value!r} cannot be included: only .yaml files in the folder of the rules file or below it can")
        label = target.relative_to(self.folder).as_posix()
        if label in chain:
            return self._problem(item, f"{' includes '.join((*chain[chain.index(label) :], label))}: a circle")
        if target in self.read:
            return None
        if len(self.read) >= MAX_FILES:
            return self._problem(item, f"more than {MAX_FILES} files")
        self.read.append(target)
        try:
            root = self.reader.compose(read_text(target), file=label)
        except (OSError, ValueError) as error:
            return self._problem(item, f"{item.value!r} cannot be read: {getattr(error, 'strerror', None) or error}")
        if root is None:
            return None
        if not isinstance(root, yaml.MappingNode):
            return self._problem(item, f"{item.value!r} holds no rules: it is no mapping (key: value)")
        self.take_in(root, target, (*chain, label))
        return root

    def _problem(self, item: yaml.Node, message: str) -> None:
        self.reader.problem(self.reader.node(item, INCLUDE), message)


def _merge(reader: Reader, other: yaml.MappingNode, into: yaml.MappingNode) -> None:
    """Put the sections and rules of `other` before those of `into`; what is there twice shows when the whole is read."""
    version = _value(other, "version")
    if version is None or version.value != VERSION:
        place = reader.node(version if version is not None else other, "version")
        reader.problem(place, f"an included file says `version: {VERSION}` too")
    for key, value in other.value:
        mine = _value(into, key.value)
        if key.value == "version":
            continue
        if key.value not in (*SECTIONS, "rules"):
            reader.problem(reader.node(key, str(key.value)), f"{key.value!r} has no place in an included file: it holds {', '.join(SECTIONS)} and rules")
        elif mine is None:
            into.value.append((key, value))
        elif type(mine) is type(value) and isinstance(value, yaml.CollectionNode):
            mine.value = [*value.value, *mine.value]
        else:
            reader.problem(reader.node(value, str(key.value)), f"this is not what {key.value!r} is in the file that includes it")


def _value(root: yaml.MappingNode, name: str) -> yaml.Node | None:
    return next((value for key, value in root.value if key.value == name), None)


def _written_out(root: yaml.MappingNode, path: Path) -> str:
    text = f"# {path.name} with the files that it includes, as they were when it was read.\n{yaml.serialize(root, width=150, allow_unicode=True)}"
    if len(text.encode()) > MAX_BYTES:
        raise RulesError([Problem(f"together with what it includes, the file has more than {MAX_BYTES} bytes, which is the limit")], str(path))
    return text
