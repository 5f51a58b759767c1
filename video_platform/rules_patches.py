"""Small changes to YAML text at the places that PyYAML names: entries come and go in the layout that is there, and every other character stays."""

from collections.abc import Sequence

import yaml

Change = tuple[int, int, str]
"""Characters from, to (exclusive), and what takes their place."""


def end_of(node: yaml.Node) -> int:
    """Where a node's last character is over; PyYAML ends a block only where the next thing begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return end_of(last[1] if isinstance(last, tuple) else last)
    return node.end_mark.index


def more_items(text: str, sequence: yaml.SequenceNode, at: int, more: Sequence[str]) -> Change:
    """`more` items of a list, so that the first of them has the number `at`."""
    if sequence.flow_style:
        if at == 0:
            begin = sequence.value[0].start_mark.index
            return begin, begin, "".join(f"{item}, " for item in more)
        begin = end_of(sequence.value[at - 1])
        return begin, begin, "".join(f", {item}" for item in more)
    before = " " * sequence.start_mark.column
    begin = line_begin(text, sequence.start_mark.index) if at == 0 else next_line(text, end_of(sequence.value[at - 1]))
    return whole_lines(text, begin, [f"{before}- {item}" for item in more])


def without(text: str, spans: Sequence[tuple[int, int]], first: int, after: int) -> list[Change]:
    """A flow collection without its entries `first` to `after` (exclusive), and without the commas that were theirs; `spans` are all of its entries."""
    changes = []
    for begin, end in spans[first:after]:
        comma = _comma(text, end)
        stop = end if comma is None else comma + 1
        while comma is not None and text[stop] in " \t":
            stop += 1
        changes.append(_no_blank_line(text, begin, stop))
    if after == len(spans) and first > 0 and _comma(text, spans[-1][1]) is None and (comma := _comma(text, spans[first - 1][1])) is not None:
        stop = comma + 1
        while text[stop] in " \t":
            stop += 1
        changes.append((comma, stop, ""))
    return changes


def last_in_flow(mapping: yaml.MappingNode, entry: str) -> Change:
    """`entry` behind the others of a flow mapping."""
    if mapping.value:
        at = end_of(mapping.value[-1][1])
        return at, at, f", {entry}"
    return mapping.start_mark.index + 1, mapping.start_mark.index + 1, entry


def whole_lines(text: str, begin: int, lines: Sequence[str]) -> Change:
    """`lines` before the line that begins at `begin`; with the line ends that the text has."""
    line_end = "\r\n" if "\r\n" in text else "\n"
    open_end = line_end if begin == len(text) and text and not text.endswith("\n") else ""
    return begin, begin, open_end + "".join(line + line_end for line in lines)


def lines_of(text: str, begin: int, end: int) -> Change:
    """The whole lines from `begin` to `end` gone."""
    return line_begin(text, begin), next_line(text, end), ""


def line_begin(text: str, at: int) -> int:
    """Where the line of the character `at` begins."""
    return text.rfind("\n", 0, at) + 1


def next_line(text: str, at: int) -> int:
    """Where the line after that of the character `at` begins; the end of the text behind its last one."""
    return min(_line_end(text, at) + 1, len(text))


def _comma(text: str, at: int) -> int | None:
    """The comma behind an entry that ends at `at`; blanks and comments may stand before it."""
    while at < len(text):
        if text[at] == ",":
            return at
        if text[at] == "#":
            at = _line_end(text, at)
        elif not text[at].isspace():
            return None
        at += 1
    return None


def _no_blank_line(text: str, begin: int, end: int) -> Change:
    """The characters from `begin` to `end` gone, and their line too where nothing else is in it."""
    first, last = line_begin(text, begin), _line_end(text, end)
    if first and not text[first:begin].strip() and not text[end:last].strip():
        return first, next_line(text, end), ""
    return begin, end, ""


def _line_end(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found
