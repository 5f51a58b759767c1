"""What a model said of single frames, kept among the objects of a video until its captions are made: a run that is killed asks for none of it again."""

import hashlib

from pydantic import ValidationError

from video_platform import layout
from video_platform.analysis.captions import Answer
from video_platform.errors import ObjectNotFound
from video_platform.records import Captions, Manifest
from video_platform.services.object_store import ObjectStore


class KeptAnswers:
    """Answers of one model to one prompt, of one video: those that came in since captions were last made, and those of the captions that are stored.

    They are no more than the frames of a video per model and prompt, lie below the video's own key, and go with it or when its captions are made.
    """

    def __init__(self, store: ObjectStore, video_id: str, *, model_digest: str, prompt_hash: str, made: Captions | None = None) -> None:
        """`made` are stored captions of the same model and prompt, if there are any."""
        self._store = store
        self._video_id = video_id
        self._asked = f"{model_digest}\n{prompt_hash}"
        self._there = {info.key for info in store.list(layout.answers_prefix(video_id))}
        self._known = {each.digest: Answer(text=each.text) for each in (made.captions if made else ()) if each.text}

    def get(self, digest: str) -> Answer | None:
        """The answer for this frame, None when nobody asked yet, or what is kept cannot be read."""
        if digest not in self._known and (key := self._key(digest)) in self._there:
            try:
                self._known[digest] = Answer.model_validate_json(self._store.get_bytes(key))
            except (ObjectNotFound, ValidationError):
                return None
        return self._known.get(digest)

    def put(self, digest: str, answer: Answer) -> None:
        """Keep an answer: one small object, written before the next frame is asked for."""
        self._store.put_bytes(self._key(digest), answer.model_dump_json().encode(), media_type="application/json")
        self._known[digest] = answer

    def _key(self, digest: str) -> str:
        return layout.answer_key(self._video_id, hashlib.sha256(f"{digest}\n{self._asked}".encode()).hexdigest())


def forget(store: ObjectStore, video_id: str) -> int:
    """Remove all answers of a video, of any model and prompt; how many there were."""
    return store.delete_prefix(layout.answers_prefix(video_id))


def same_asked(manifest: Manifest, configuration: dict[str, object]) -> bool:
    """Whether stored captions come from the same model and prompt, whatever frames were asked for."""
    return all(manifest.configuration.get(name) == configuration.get(name) for name in ("model", "digest", "prompt"))
