"""Answers about the frames of a video among its objects, while a result is made of them: a run that dies is gone on with, and nothing is asked twice."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from video_platform import layout
from video_platform.errors import ObjectNotFound

if TYPE_CHECKING:
    from video_platform.services.object_store import ObjectStore


class StoredAnswers:
    """Yes and no by the key of what was asked, for one asset of one video; `known` are those that its stored result holds."""

    def __init__(self, store: "ObjectStore", video_id: str, asset: str, known: Mapping[str, bool]) -> None:
        self._store, self._video_id, self._asset = store, video_id, asset
        self._known = dict(known)
        self._there = {info.key for info in store.list(layout.answers_prefix(video_id, asset))}

    def get(self, key: str) -> bool | None:
        """The answer, None when nobody gave it yet."""
        if key not in self._known and (object_key := self._key(key)) in self._there:
            try:
                found = json.loads(self._store.get_bytes(object_key))
            except (ObjectNotFound, ValueError):
                return None
            if isinstance(found, bool):
                self._known[key] = found
        return self._known.get(key)

    def put(self, key: str, answer: bool) -> None:
        """Keep an answer."""
        self._known[key] = answer
        self._store.put_bytes(self._key(key), json.dumps(answer).encode(), media_type="application/json")

    def forget(self) -> None:
        """The result holds them now."""
        self._store.delete_prefix(layout.answers_prefix(self._video_id, self._asset))

    def _key(self, key: str) -> str:
        return layout.answer_key(self._video_id, self._asset, key)
