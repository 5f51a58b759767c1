"""Finding moments in all videos by what was said of them: by words, by meaning, or both.

By words the database's full text ranks (`services.database.search`); by meaning the cosine of the question's vector with that of every passage, exactly, over
a matrix in memory. Both lists become one by reciprocal rank fusion (Cormack, Clarke & Büttcher 2009): sum of 1 / (60 + rank). What may not be seen is left out
before anything is ranked. Every text is allowed as a question; one without letters and digits finds nothing.
"""

import re
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from video_platform import layout, sentence_model
from video_platform.access import Person
from video_platform.catalog import Catalog
from video_platform.errors import IntegrityError, PlatformError
from video_platform.records import Scene, VideoRecord, VideoState
from video_platform.services.database import Database, search, troubles, videos
from video_platform.services.database.search import ANY_ALERT, Document, Filters
from video_platform.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from video_platform.analysis.sentence_vectors import Encoder

__all__ = ["ANY_ALERT", "Filters", "Found", "Hit", "Mode", "Search", "Standing", "Stands"]

MAX_QUESTION = 1_000
"""Characters of a question that count; of a longer text the beginning is looked for."""

MAX_WORDS = 16
"""Words of a question that are looked for all together."""

MAX_ANY = 6
"""Words of which any may stand in a passage: the longest ones, which are the rarest more often than not. A word that a third of 100,000 passages have
costs 30 ms here, more of them than this would take the answer above its 0.2 s."""

CANDIDATES = 100
"""Passages of each list that are fused; nobody reads further, and a passage that both lists have stands far above."""

RRF = 60
"""The constant of reciprocal rank fusion, as its authors chose it."""

LEAST_COSINE = 0.25
"""Below this two sentences have nothing to do with each other for all-MiniLM-L6-v2: unrelated ones mostly lie between -0.1 and 0.2."""

BLOCK = 500
"""Passages that are looked at in one go, nearest first, where filters may leave out some of a video."""

STOP_WORDS = frozenset(
    (
        *("a", "about", "after", "again", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "because", "been", "before", "being"),
        *("between", "but", "by", "can", "could", "did", "do", "does", "doing", "down", "during", "each", "few", "for", "from", "further", "had", "has"),
        *("have", "having", "he", "her", "here", "hers", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its", "just", "me"),
        *("more", "most", "my", "no", "nor", "not", "now", "of", "off", "on", "once", "only", "or", "other", "our", "out", "over", "own"),
        *("s", "same", "she", "should", "so", "some", "such", "t", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this"),
        *("those", "through", "to", "too", "under", "until", "up", "very", "was", "we", "were", "what", "when", "where", "which", "while", "who", "whom"),
        *("why", "will", "with", "would", "you", "your"),
    )
)
"""Words that say nothing by themselves, about those that PostgreSQL's `english` leaves out; they count where a question has no others."""

WORD = re.compile(r"[^\W_]+")

DOTTED_I = "İ".lower()
"""The one letter that becomes two in lower case, i and a mark, at which a word would end; the indices have it as i."""


class Mode(StrEnum):
    """How passages are found."""

    WORDS = "words"
    MEANING = "meaning"
    BOTH = "both"


class Stands(StrEnum):
    """Whether a video can be found."""

    INDEXED = "indexed"
    WAITING = "waiting"
    NOT_INDEXED = "not indexed"


@dataclass(frozen=True)
class Standing:
    """Whether a video can be found, by how many passages, and if not, why; `by_meaning` says whether they have vectors."""

    stands: Stands
    passages: int = 0
    by_meaning: bool = False
    reason: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Hit:
    """A moment that was found. `words` of the question stand in it; `likeness` is the cosine of its meaning with the question's, None by words alone.

    `thumbnail` is an object key; `moment` the instant of its beginning, None where the recording time is unknown.
    """

    video: VideoRecord
    passage: Document
    words: tuple[str, ...]
    likeness: float | None
    thumbnail: str | None

    @property
    def moment(self) -> datetime | None:
        """When it began."""
        return None if self.video.recorded_at is None else self.video.recorded_at + timedelta(seconds=self.passage.start_s)

    @property
    def why(self) -> str:
        """Why it matched, for people."""
        parts = [f"words: {', '.join(self.words)}"] if self.words else []
        if self.likeness is not None:
            parts.append(f"alike in meaning: {self.likeness:.2f}")
        return "; ".join(parts) or "words of the same stem"


@dataclass(frozen=True)
class Found:
    """What was found, the best first; `mode` is how, and `note` why not also by meaning. `indexed` of `videos` that may be seen can be found at all."""

    hits: list[Hit]
    mode: Mode
    note: str
    indexed: int
    videos: int


class Search:
    """The search over one home; safe to share between threads. It keeps vectors in memory: 154 MB for 100,000 passages, read when first needed."""

    def __init__(self, settings: Settings, db: Database, catalog: Catalog) -> None:
        self._settings, self._db, self._catalog = settings, db, catalog
        self._lock = threading.Lock()
        self._encoder: tuple[str, Encoder] | None = None
        self._matrix: _Matrix | None = None

    def find(self, question: str, filters: Filters | None = None, *, limit: int = 20, mode: Mode | None = None) -> Found:
        """What passages that pass the filters say about the question; by words and meaning unless `mode` says otherwise, or no model is there.

        Raises:
            DatabaseUnavailable: nobody can say.
        """
        filters = filters or Filters()
        text = plain(question)
        model, note = self._model(mode)
        used = Mode.WORDS if model is None else mode or Mode.BOTH
        asked = words_of(text)
        try:
            by_meaning = self._by_meaning(text, model, filters) if model is not None and asked else []
        except IntegrityError as error:  # words are there all the same
            used, note, by_meaning = Mode.WORDS, error.message, []
        by_words = self._by_words(asked, filters) if used is not Mode.MEANING else []
        likeness = {_place(document): cosine for document, cosine in by_meaning}
        ranked = fused([by_words, [document for document, _ in by_meaning]])[:limit]
        indexed, total = search.counts(self._db, filters.person)
        return Found(list(self._hits(ranked, asked, likeness, filters.person)), used, note, indexed, total)

    def standing(self, record: VideoRecord) -> Standing:
        """Whether this video can be found."""
        return standing(record, search.state(self._db, record.video_id), self._described(record))

    def _described(self, record: VideoRecord) -> bool:
        return videos.facts(self._db, [record.video_id]).get(record.video_id, videos.Facts()).title is not None

    def _model(self, mode: Mode | None) -> tuple[sentence_model.SentenceModel | None, str]:
        if mode is Mode.WORDS:
            return None, ""
        found = sentence_model.find(self._settings)
        return found.model, found.reason

    def _by_words(self, asked: Sequence[str], filters: Filters) -> list[Document]:
        """Those with all the words; where they are too few, those with any of the longest after them."""
        found = search.by_words(self._db, asked[:MAX_WORDS], filters, CANDIDATES, all_of_them=True)
        if len(found) < CANDIDATES and len(asked) > 1:
            longest = sorted(asked[:MAX_WORDS], key=len, reverse=True)[:MAX_ANY]
            known = {_place(document) for document in found}
            found += [each for each in search.by_words(self._db, longest, filters, CANDIDATES, all_of_them=False) if _place(each) not in known]
        return found[:CANDIDATES]

    def _by_meaning(self, text: str, model: sentence_model.SentenceModel, filters: Filters) -> list[tuple[Document, float]]:
        """The nearest passages, exactly: the filters that need the database are asked block by block, nearest first, until there are enough."""
        with self._lock:
            encoder, matrix = self._loaded(model), self._current(model)
        if not len(matrix.vectors):
            return []
        found: list[tuple[Document, float]] = []
        nearest = matrix.nearest(encoder.encode([text])[0], search.videos_passing(self._db, filters))
        size = CANDIDATES if filters.none else BLOCK
        while len(found) < CANDIDATES and (block := list(islice(nearest, size))):
            documents = search.passing(self._db, [place for place, _ in block], filters)
            found += [(documents[place], cosine) for place, cosine in block if place in documents]
        return found[:CANDIDATES]

    def _loaded(self, model: sentence_model.SentenceModel) -> "Encoder":
        from video_platform.analysis.sentence_vectors import Encoder

        if self._encoder is None or self._encoder[0] != model.digest:
            self._encoder = model.digest, Encoder(model.folder)
        return self._encoder[1]

    def _current(self, model: sentence_model.SentenceModel) -> "_Matrix":
        """The vectors as the database has them now; what did not change since the last question is not read again."""
        mark = f"{model.digest}/{search.mark(self._db)}"
        if self._matrix is None or self._matrix.mark != mark:
            before = self._matrix.parts if self._matrix is not None and self._matrix.mark.startswith(model.digest) else {}
            contents = search.contents(self._db, model.digest)
            kept = {video_id: part for video_id, part in before.items() if contents.get(video_id) == part[0]}
            missing = contents.keys() - kept.keys()
            fresh = search.vectors(self._db, model.digest, missing if kept else None) if missing else ()
            self._matrix = _Matrix(mark, kept | {each.video_id: (each.content_hash, _rows(each)) for each in fresh})
        return self._matrix

    def _hits(self, ranked: Sequence[Document], asked: Sequence[str], likeness: dict[tuple[str, int], float], person: Person) -> Iterator[Hit]:
        records = troubles.records(self._db, list({document.video_id for document in ranked}))
        catalog = self._catalog.seen_by(person)
        scenes: dict[str, list[Scene]] = {}
        for document in ranked:
            record = records.get(document.video_id)
            if record is None or record.state is VideoState.DELETED or not person.may_see(record.camera):
                continue  # deleted, or moved to another camera, since it was ranked
            if record.video_id not in scenes:
                scenes[record.video_id] = _scenes(catalog, record.video_id)
            picture = _picture(record.video_id, scenes[record.video_id], document.start_s) or _poster(catalog, record.video_id)
            yield Hit(record, document, matched(asked, document.text), likeness.get(_place(document)), picture)


class _Matrix:
    """The vectors of all passages of one model; `parts` are those of each video with its content hash, and views of the whole."""

    def __init__(self, mark: str, parts: "dict[str, tuple[str, NDArray[np.floating]]]") -> None:
        import numpy as np

        self.mark = mark
        self.parts: dict[str, tuple[str, NDArray[np.floating]]] = {}
        self._ids = list(parts)
        sizes = [len(parts[video_id][1]) for video_id in self._ids]
        self._first = np.cumsum([0, *sizes])
        self._video = np.repeat(np.arange(len(self._ids)), sizes)
        self.vectors: NDArray[np.float32] = np.empty((sum(sizes), parts[self._ids[0]][1].shape[1] if parts else 0), np.float32)
        for at, video_id in enumerate(self._ids):
            mine = self.vectors[self._first[at] : self._first[at + 1]]
            mine[:] = parts[video_id][1]
            self.parts[video_id] = parts[video_id][0], mine

    def nearest(self, question: "NDArray[np.float32]", among: set[str] | None) -> Iterator[tuple[tuple[str, int], float]]:
        """`(video_id, position)` with its cosine, nearest first, down to `LEAST_COSINE`; only of the videos `among`, where given."""
        import numpy as np

        if self.vectors.shape[1] != len(question):
            return
        cosines = self.vectors @ question
        wanted = cosines >= LEAST_COSINE
        if among is not None:
            wanted &= np.array([video_id in among for video_id in self._ids], bool)[self._video]
        rows = np.flatnonzero(wanted)
        for row in rows[np.argsort(-cosines[rows], kind="stable")]:
            at = self._video[row]
            yield (self._ids[at], int(row - self._first[at])), float(cosines[row])


def plain(question: str) -> str:
    """A question without what no text has: controls, NUL, direction marks, undecodable halves; its beginning, if it is very long."""
    shown = "".join(" " if character.isspace() else character for character in question[:MAX_QUESTION] if _is_text(character))
    return " ".join(unicodedata.normalize("NFC", shown).split())


def words_of(text: str) -> list[str]:
    """The words of a question, each once, in lower case; those that say nothing only where there are no others.

    Lower case and no more: the indices keep `straße` as it is, and folded to `strasse` it would not be found.
    """
    words = list(dict.fromkeys(word[:64] for word in WORD.findall(text.lower().replace(DOTTED_I, "i"))))
    return [word for word in words if word not in STOP_WORDS] or words


def fused(lists: Sequence[Sequence[Document]]) -> list[Document]:
    """Several ranked lists as one by reciprocal rank fusion; equal ones in the order of the lists."""
    scores: dict[tuple[str, int], float] = {}
    documents: dict[tuple[str, int], Document] = {}
    for ranked in lists:
        for rank, document in enumerate(ranked, 1):
            scores[_place(document)] = scores.get(_place(document), 0.0) + 1 / (RRF + rank)
            documents.setdefault(_place(document), document)
    return [documents[place] for place in sorted(scores, key=lambda place: -scores[place])]


def matched(asked: Sequence[str], text: str) -> tuple[str, ...]:
    """The words of the question that stand in a passage, in this form or a near one: `walking` in "a person walks"."""
    there = words_of(text)
    return tuple(word for word in asked if any(_alike(word, other) for other in there))


def standing(record: VideoRecord, state: search.State | None, described: bool) -> Standing:
    """Whether a video can be found, from what is noted of it; `described` says whether it has a summary."""
    if state is not None and state.failure is not None:
        stands = Stands.INDEXED if state.content_hash else Stands.NOT_INDEXED
        return Standing(stands, state.passages, bool(state.model), f"indexing it failed: {state.failure}", state.changed_at)
    if state is not None:
        return Standing(Stands.INDEXED, state.passages, bool(state.model), "", state.changed_at)
    if record.state is VideoState.FAILED:
        return Standing(Stands.NOT_INDEXED, reason="the video failed")
    if record.summary_failure_code is not None:
        return Standing(Stands.NOT_INDEXED, reason=f"its summary could not be written: {record.summary_failure_message or record.summary_failure_code}")
    if record.state is VideoState.READY and described:
        return Standing(Stands.NOT_INDEXED, reason="what search finds of it was not made yet; `vp backfill start --cause unfinished` makes it")
    return Standing(Stands.WAITING, reason="it is found once its summary is written")


def _alike(word: str, other: str) -> bool:
    """Whether two words are forms of one, nearly enough to be named as the reason: endings of up to three letters differ."""
    if word == other:
        return True
    shared = next((at for at, (one, two) in enumerate(zip(word, other, strict=False)) if one != two), min(len(word), len(other)))
    return shared >= 4 and max(len(word), len(other)) - shared <= 3


def _is_text(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")


def _place(document: Document) -> tuple[str, int]:
    return document.video_id, document.position


def _rows(vectors: search.Vectors) -> "NDArray[np.floating]":
    import numpy as np

    return np.frombuffer(vectors.data, np.float16).reshape(vectors.passages, -1)


def _scenes(catalog: Catalog, video_id: str) -> list[Scene]:
    try:
        return catalog.scenes(video_id)
    except PlatformError:
        return []  # a list is shown without its pictures


def _picture(video_id: str, scenes: Sequence[Scene], at_s: float) -> str | None:
    shown = [scene for scene in scenes if scene.start_s <= at_s and scene.thumbnail]
    return f"{layout.video_prefix(video_id)}{layout.SCENES}/{shown[-1].thumbnail}" if shown else None


def _poster(catalog: Catalog, video_id: str) -> str | None:
    try:
        manifest = catalog.manifest(video_id, layout.PROCESSED_VIDEO)
    except PlatformError:
        return None
    entry = manifest.file("poster") if manifest else None
    return entry.key if entry else None
