"""YAML composed once, in Python: what the language has no use for is refused at its first sign, so a bomb is never unfolded and a flood never read to its end.

PyYAML takes some 20 µs for each value, which is what makes a text cost anything, not its bytes.
"""

import yaml

MAX_DEPTH = 8
"""The deepest thing in the language, a coordinate, lies five levels down; what nests deeper is an attack or a mistake."""

MAX_VALUES = 40_000
"""Keys, values and lists of one rule set: a thousand rules (some twenty each) and as many zones; reading so many takes about a second."""


class Refused(Exception):
    """Valid YAML that is not read; `mark` is where."""

    def __init__(self, why: str, mark: yaml.Mark) -> None:
        super().__init__(why)
        self.why, self.mark = why, mark


class Composer(yaml.SafeLoader):
    """Composes the one document of a text whose file is called `name`; `counted` values were read before it."""

    def __init__(self, text: str, name: str, counted: int = 0) -> None:
        super().__init__(text)
        self.name = name
        self.counted = counted
        self._depth = 0

    def document(self) -> yaml.Node | None:
        """The document, None where the text has none.

        Raises:
            Refused: it has anchors, aliases or tags, nests too deep or is too much, or another document follows.
            yaml.YAMLError: it is not YAML.
        """
        self.get_event()
        root = None if self.check_event(yaml.StreamEndEvent) else self.compose_document()
        if not self.check_event(yaml.StreamEndEvent):
            raise Refused("a second document (---) starts here; a rules file is one document", self.peek_event().start_mark)
        return root

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Any node, as PyYAML composes it, once its first event is one that may be."""
        event = self.peek_event()
        self.counted += 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise Refused("anchors (&) and aliases (*) are not read; write the value out", event.start_mark)
        if getattr(event, "tag", None):
            raise Refused("tags (!) are not read; write the plain value", event.start_mark)
        if isinstance(event, yaml.CollectionStartEvent) and self._depth == MAX_DEPTH:
            raise Refused(f"nested more than {MAX_DEPTH} levels deep", event.start_mark)
        if self.counted > MAX_VALUES:
            raise Refused(
                f"more than {MAX_VALUES} keys and values, which is the limit; a polygon needs fewer corners, or this is no rules file", event.start_mark
            )
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node
