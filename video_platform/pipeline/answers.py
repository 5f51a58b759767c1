"""What a model said of single frames, kept among the objects of a video until a result is made of it: a run that is killed asks for none of it again."""

import hashlib
from collections.abc import Mapping
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from video_platform import layout
from video_platform.errors import ObjectNotFound
from video_platform.services.object_store import ObjectStore

Said = TypeVar("Said")


class StoredAnswers(Generic[Said]):
    """Answers of the type `form`, for one asset of one video: those that came in since it was last made, and the `known` ones that its stored result holds.

    They are no more than the frames of a video per question, lie below the video's own key, and go with it or when the asset is made.
    """

    def __init__(self, store: ObjectStore, video_id: str, asset: str, form: type[Said], known: Mapping[str, Said], *, asked: str = "") -> None:
        """`asked` is what all of them answer (model and prompt), as far as their keys do not say it."""
        self._store, self._video_id, self._asset, self._asked = store, video_id, asset, asked
        self._form: TypeAdapter[Said] = TypeAdapter(form)
        self._known = dict(known)
        self._there = {info.key for info in store.list(layout.answers_prefix(video_id, asset))}

    def get(self, key: str) -> Said | None:
        """The answer of this key, None when nobody gave it yet, or what is kept cannot be read."""
        if key not in self._known and (object_key := self._key(key)) in self._there:
            try:
                self._known[key] = self._form.validate_json(self._store.get_bytes(object_key), strict=True)
            except (ObjectNotFound, ValidationError):
                return None
        return self._known.get(key)

    def put(self, key: str, answer: Said) -> None:
        """Keep an answer: one small object, written before the next question is asked."""
        self._store.put_bytes(self._key(key), self._form.dump_json(answer), media_type="application/json")
        self._known[key] = answer

    def _key(self, key: str) -> str:
        return layout.answer_key(self._video_id, self._asset, hashlib.sha256(f"{key}\n{self._asked}".encode()).hexdigest())


def forget(store: ObjectStore, video_id: str, asset: str) -> int:
    """Remove all answers for an asset of a video, of any model and prompt; how many there were."""
    return store.delete_prefix(layout.answers_prefix(video_id, asset))
