"""What the database finds of a video, brought back from the files of its `search_index`."""

import io

from pydantic import TypeAdapter, ValidationError

from video_platform.errors import IntegrityError
from video_platform.records import Manifest, Passage, Stored
from video_platform.services.database import Database, search
from video_platform.services.object_store import ObjectStore


class Sheet(Stored):
    """The file `passages` of asset `search_index`; `model` is the digest of the sentence model, None without one."""

    model: str | None
    passages: list[Passage]


SHEET = TypeAdapter(Sheet)


def restore(db: Database, store: ObjectStore, manifest: Manifest) -> bool:
    """Index what the manifest's files hold, unless the database has exactly that; whether it was needed.

    Raises:
        IntegrityError: they cannot be read.
        ObjectNotFound: one is gone.
        NotFound, VideoDeleted: there is no such video.
    """
    known = search.state(db, manifest.video_id)
    if known is not None and known.content_hash == manifest.content_hash and known.failure is None:
        return False
    passages, vectors = manifest.file("passages"), manifest.file("vectors")
    if passages is None:
        raise IntegrityError(f"search_index of video {manifest.video_id} names no passages; make it again", expected="passages", actual="nothing")
    try:
        sheet = SHEET.validate_json(store.get_bytes(passages.key))
        data = None if vectors is None else _rows(store.get_bytes(vectors.key), len(sheet.passages))
    except (ValidationError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise IntegrityError(f"search_index of video {manifest.video_id} cannot be read: {reason}", expected=passages.key, actual=reason) from error
    search.index(db, manifest.video_id, manifest.content_hash, sheet.passages, model=sheet.model, vectors=data)
    return True


def _rows(data: bytes, passages: int) -> bytes:
    import numpy as np

    vectors = np.load(io.BytesIO(data), allow_pickle=False)
    if vectors.dtype != np.float16 or vectors.ndim != 2 or len(vectors) != passages:
        raise ValueError(f"{vectors.dtype} vectors of shape {vectors.shape} do not belong to {passages} passages")
    return vectors.tobytes()
