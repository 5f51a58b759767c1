"""Passages of videos and their full text: FTS5 on SQLite, tsvector on PostgreSQL.

Both split into words without accents and take the stems of English words; FTS5 ranks by BM25, PostgreSQL by `ts_rank`, which does not know how rare a word is.
A video's passages are replaced as a whole, in one transaction with what is noted of them.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection, Row

from video_platform.access import ANYONE, Person
from video_platform.records import Lifecycle, Passage, VideoState
from video_platform.services.database import videos as video_rows
from video_platform.services.database.columns import Instant
from video_platform.services.database.engine import INSERT_ROWS, Database
from video_platform.services.database.seeing import visible
from video_platform.services.database.tables import alerts, search_documents, search_states, videos

MAX_FAILURE = 1000
"""Characters of a failure that are kept."""

ANY_ALERT = "*"
"""Stands for any rule in `Filters.alert`."""

CHUNK = 500
"""Videos that are asked for by their ids in one statement."""

PLACES = 100
"""Videos of which single passages are asked for in one statement: each is a term of its own, which has the index used; SQLite scans for a list of pairs."""


@dataclass(frozen=True)
class Document:
    """One passage of a video; `position` is its row in the video's vectors."""

    video_id: str
    position: int
    kind: str
    passage_id: str
    text: str
    start_s: float
    end_s: float
    state: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Filters:
    """What a passage has to be of, besides what it says.

    It touches the span from `since` until before `until` (taking in stands for a recording time that is unknown), something of `class_name` was followed in it,
    and an active alert of the rule `alert`, or of any with `ANY_ALERT`, touches it.
    """

    person: Person = ANYONE
    camera: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    class_name: str | None = None
    alert: str | None = None

    @property
    def of_videos(self) -> bool:
        """Whether some videos are left out as a whole."""
        return bool(self.camera or self.since or self.until) or not self.person.sees_all

    @property
    def none(self) -> bool:
        """Whether every passage passes."""
        return not (self.of_videos or self.class_name or self.alert)


@dataclass(frozen=True)
class State:
    """What of a video is found: `passages` of them, by meaning too where there is a `model`; `failure` says why the last attempt to index it failed."""

    content_hash: str | None
    passages: int
    model: str | None
    failure: str | None
    changed_at: datetime


@dataclass(frozen=True)
class Vectors:
    """The vectors of one video's passages: float16 bytes, row by row."""

    video_id: str
    content_hash: str
    passages: int
    data: bytes


def index(db: Database, video_id: str, content_hash: str, passages: Sequence[Passage], *, model: str | None, vectors: bytes | None) -> None:
    """Replace what of the video is found.

    Raises:
        NotFound, VideoDeleted: there is no such video.
    """
    rows = [
        {
            "video_id": video_id,
            "position": position,
            "kind": each.kind,
            "passage_id": each.id[:64],
            "text": each.text,
            "start_s": each.start_s,
            "end_s": each.end_s,
            "state": each.state[:32],
            "classes": json.dumps(list(each.classes)),
        }
        for position, each in enumerate(passages)
    ]
    known = {"content_hash": content_hash, "passages": len(rows), "model": model, "vectors": vectors, "failure": None, "changed_at": datetime.now(UTC)}
    with db.write() as connection:
        video_rows.lock(connection, video_id)
        forget(connection, video_id)
        connection.execute(sa.insert(search_states).values(video_id=video_id, **known))
        for start in range(0, len(rows), INSERT_ROWS):
            connection.execute(sa.insert(search_documents), rows[start : start + INSERT_ROWS])


def failed(db: Database, video_id: str, message: str) -> bool:
    """The video could not be indexed; what was found of it before still is. False when it is gone."""
    known = {"failure": message[:MAX_FAILURE], "changed_at": datetime.now(UTC)}
    with db.write() as connection:
        record = video_rows.find(connection, video_id, lock=True)
        if record is None or record.state is VideoState.DELETED:
            return False
        if not connection.execute(sa.update(search_states).where(search_states.c.video_id == video_id).values(**known)).rowcount:
            connection.execute(sa.insert(search_states).values(video_id=video_id, passages=0, **known))
        return True


def forget(connection: Connection, video_id: str) -> None:
    """Nothing of the video is found any more."""
    connection.execute(sa.delete(search_documents).where(search_documents.c.video_id == video_id))
    connection.execute(sa.delete(search_states).where(search_states.c.video_id == video_id))


def state(db: Database, video_id: str) -> State | None:
    """What of one video is found, None when nobody has tried yet."""
    return states(db, [video_id]).get(video_id)


def states(db: Database, video_ids: Sequence[str]) -> dict[str, State]:
    """The same of several; those that nobody has tried are left out."""
    columns = [search_states.c[name] for name in ("video_id", "content_hash", "passages", "model", "failure", "changed_at")]
    with db.read() as connection:
        rows = connection.execute(sa.select(*columns).where(search_states.c.video_id.in_(list(video_ids)))).all()
    return {row.video_id: State(*row[1:]) for row in rows}


def indexed(db: Database) -> set[str]:
    """The ids of all videos of which something is found."""
    with db.read() as connection:
        return set(connection.execute(sa.select(search_states.c.video_id).where(search_states.c.content_hash.is_not(None))).scalars())


def counts(db: Database, person: Person = ANYONE) -> tuple[int, int]:
    """How many of the videos that `person` may see are indexed, and how many there are."""
    columns = sa.func.count(search_states.c.content_hash), sa.func.count()
    joined = videos.outerjoin(search_states, search_states.c.video_id == videos.c.video_id)
    with db.read() as connection:
        there = (videos.c.state != str(VideoState.DELETED), *visible(connection, person, videos.c.camera))
        found, total = connection.execute(sa.select(*columns).select_from(joined).where(*there)).one()
    return found, total


def by_words(db: Database, words: Sequence[str], filters: Filters, limit: int, *, all_of_them: bool) -> list[Document]:
    """Passages with all, or any, of these words, the best match first. A word is letters and digits, nothing else."""
    if not words or not all(word.replace("_", "w").isalnum() for word in words):
        return []
    with db.read() as connection:
        where = _conditions(connection, filters)
        if connection.dialect.name == "sqlite":
            query = _fts5(" AND " if all_of_them else " OR ", words, where, limit)
        else:
            query = _tsquery(" & " if all_of_them else " | ", words, where, limit)
        return [_document(row) for row in connection.execute(query)]


def passing(db: Database, places: Sequence[tuple[str, int]], filters: Filters) -> dict[tuple[str, int], Document]:
    """Those of the passages at `(video_id, position)` that pass the filters."""
    found: dict[tuple[str, int], Document] = {}
    of_video: dict[str, list[int]] = {}
    for video_id, position in places:
        of_video.setdefault(video_id, []).append(position)
    with db.read() as connection:
        where = _conditions(connection, filters)
        for start in range(0, len(of_video), PLACES):
            terms = [
                sa.and_(search_documents.c.video_id == video_id, search_documents.c.position.in_(of_video[video_id]))
                for video_id in list(of_video)[start : start + PLACES]
            ]
            for row in connection.execute(_select().where(sa.or_(*terms), *where)):
                found[row.video_id, row.position] = _document(row)
    return found


def videos_passing(db: Database, filters: Filters) -> set[str] | None:
    """The videos that some passages of may pass, None for all; passages have to be looked at one by one all the same."""
    if not filters.of_videos:
        return None
    with db.read() as connection:
        where = [*visible(connection, filters.person, videos.c.camera)]
        if filters.camera:
            where.append(videos.c.camera == filters.camera)
        if filters.until is not None:
            where.append(_recorded() < sa.bindparam("until", filters.until, Instant()))
        return set(connection.execute(sa.select(videos.c.video_id).where(*where)).scalars())


def mark(db: Database) -> str:
    """Changes whenever anything that can be found did."""
    with db.read() as connection:
        return "/".join(str(each) for each in connection.execute(sa.select(sa.func.count(), sa.func.max(search_states.c.changed_at))).one())


def contents(db: Database, model: str) -> dict[str, str]:
    """Video -> content hash of what is indexed of it, of those with vectors of this model."""
    query = sa.select(search_states.c.video_id, search_states.c.content_hash).where(search_states.c.model == model, search_states.c.passages > 0)
    with db.read() as connection:
        return {row.video_id: row.content_hash for row in connection.execute(query)}


def vectors(db: Database, model: str, video_ids: Collection[str] | None) -> Iterator[Vectors]:
    """The vectors of these videos, or of all, as far as they are of this model."""
    columns = [search_states.c[name] for name in ("video_id", "content_hash", "passages", "vectors")]
    query = sa.select(*columns).where(search_states.c.model == model, search_states.c.passages > 0)
    chosen = None if video_ids is None else sorted(video_ids)
    with db.read() as connection:
        for start in range(0, 1 if chosen is None else len(chosen), CHUNK):
            part = query if chosen is None else query.where(search_states.c.video_id.in_(chosen[start : start + CHUNK]))
            for row in connection.execute(part):
                yield Vectors(*row)


def _select() -> sa.Select:
    return sa.select(search_documents).join(videos, videos.c.video_id == search_documents.c.video_id)


def _fts5(joint: str, words: Sequence[str], where: Sequence[sa.ColumnElement[bool]], limit: int) -> sa.Select:
    """Without filters FTS5 takes the best itself, before anything is joined: five times cheaper for a word that half of the passages have."""
    matched = sa.text("search_text MATCH :words").bindparams(words=joint.join(f'"{word}"' for word in words))
    best = sa.select(sa.column("rowid"), sa.column("rank")).select_from(sa.table("search_text")).where(matched)
    if not where:
        best = best.order_by(sa.column("rank")).limit(limit)
    ranked = best.subquery("ranked")
    query = _select().join(ranked, ranked.c.rowid == search_documents.c.id).where(*where)
    return query.order_by(ranked.c.rank, search_documents.c.id).limit(limit)


def _tsquery(joint: str, words: Sequence[str], where: Sequence[sa.ColumnElement[bool]], limit: int) -> sa.Select:
    english = sa.literal_column("'english'::regconfig")
    asked = sa.func.to_tsquery(english, joint.join(f"'{word}'" for word in words), type_=postgresql.TSQUERY)
    text = sa.literal_column("search_documents.search_text", postgresql.TSVECTOR)
    return _select().where(text.op("@@")(asked), *where).order_by(sa.func.ts_rank(text, asked).desc(), search_documents.c.id).limit(limit)


def _conditions(connection: Connection, filters: Filters) -> list[sa.ColumnElement[bool]]:
    """What the filters ask of a passage and its video."""
    found = list(visible(connection, filters.person, videos.c.camera))
    if filters.camera:
        found.append(videos.c.camera == filters.camera)
    if filters.since is not None:
        found.append(search_documents.c.end_s >= _seconds_into(connection, "since", filters.since))
    if filters.until is not None:
        found.append(search_documents.c.start_s < _seconds_into(connection, "until", filters.until))
    if filters.class_name:
        found.append(search_documents.c.classes.contains(json.dumps(filters.class_name), autoescape=True))
    if filters.alert:
        touching = (
            alerts.c.video_id == search_documents.c.video_id,
            alerts.c.lifecycle == str(Lifecycle.ACTIVE),
            alerts.c.start_s <= search_documents.c.end_s,
            alerts.c.end_s >= search_documents.c.start_s,
        )
        named = () if filters.alert == ANY_ALERT else (alerts.c.rule == filters.alert,)
        found.append(sa.exists().where(*touching, *named))
    return found


def _recorded() -> sa.ColumnElement[datetime]:
    return sa.func.coalesce(videos.c.recorded_at, videos.c.ingested_at, type_=Instant())


def _seconds_into(connection: Connection, name: str, instant: datetime) -> sa.ColumnElement[float]:
    """How many seconds after the first frame of a video `instant` is."""
    given = sa.bindparam(name, instant, Instant())
    if connection.dialect.name == "sqlite":
        return (sa.func.julianday(given, type_=sa.Float()) - sa.func.julianday(_recorded(), type_=sa.Float())) * 86400.0
    return sa.cast(sa.func.extract("epoch", given - _recorded()), sa.Float())


def _document(row: Row) -> Document:
    classes = tuple(json.loads(row.classes))
    return Document(row.video_id, row.position, row.kind, row.passage_id, row.text, row.start_s, row.end_s, row.state, classes)
