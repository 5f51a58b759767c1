"""Versions of the rule set: the newest row is the active one, and nothing is ever changed in place."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from video_platform import rules
from video_platform.access import ANYONE, Person
from video_platform.errors import NotFound, RulesError, RulesMovedOn
from video_platform.fingerprints import canonical
from video_platform.layout import ALERTS, DESCRIBED_ALERTS
from video_platform.records import VideoState
from video_platform.services.database.engine import Database
from video_platform.services.database.tables import counters, evaluations, rule_sets, videos

DEFAULT_VERSION = "default"
"""What an evaluation calls the rules of a home on which none were ever applied."""

MOST_TOLD = 5
"""Versions that are named where somebody is told what became active meanwhile."""

ALL = 1_000_000
"""More versions than anybody applies."""


@dataclass(frozen=True)
class RuleVersion:
    """One version; `hash` is that of the normalised rules (comments and order do not count), `source` says where the text came from."""

    id: int
    text: str
    hash: str
    source: str
    who: str
    why: str
    applied_at: datetime

    @property
    def rule_set(self) -> rules.RuleSet:
        """What the text means.

        Raises:
            RulesError: this version of the program cannot read it; names the version, where it came from and what to do.
        """
        try:
            return rules.parse(self.text)
        except RulesError as error:
            name = f"version {self.id} of the rules, from {self.source},"
            raise RulesError(list(error.problems), name, remedy="a mended file takes its place with `vp rules apply FILE`") from error


def active(db: Database) -> RuleVersion | None:
    """The version that is in force, None on a home that never had one."""
    with db.read() as connection:
        return _newest(connection)


def still_active(connection: Connection, version_id: int) -> bool:
    """Whether this version is the newest one, and stays so until the transaction ends."""
    _one_at_a_time(connection)
    return connection.execute(sa.select(sa.func.max(rule_sets.c.id))).scalar() == version_id


def versions(db: Database, limit: int = 100) -> list[RuleVersion]:
    """The versions, newest first."""
    with db.read() as connection:
        rows = connection.execute(sa.select(rule_sets).order_by(rule_sets.c.id.desc()).limit(limit)).all()
    return [RuleVersion(**row._asdict()) for row in rows]


def get(db: Database, version_id: int) -> RuleVersion:
    """One version.

    Raises:
        NotFound: there is no version of this number.
    """
    with db.read() as connection:
        row = connection.execute(sa.select(rule_sets).where(rule_sets.c.id == version_id)).one_or_none() if 0 < version_id < 2**63 else None
    if row is None:
        raise NotFound(f"there is no version {version_id} of the rules; `vp rules list --versions` lists them", version=version_id)
    return RuleVersion(**row._asdict())


@dataclass(frozen=True)
class JudgedBy:
    """What the alerts of a video come from: `version` is the number of the rules, or `DEFAULT_VERSION`; `tracks_hash` the content of the tracks."""

    version: str
    rule_set: rules.RuleSet
    tracks_hash: str


def judged_by(db: Database, video_id: str) -> JudgedBy | None:
    """What the alerts of a video come from, None before its first evaluation.

    Raises:
        NotFound: that version of the rules is not here any more.
        RulesError: this version of the program cannot read it.
    """
    where = (evaluations.c.video_id == video_id, evaluations.c.asset == ALERTS)
    with db.read() as connection:
        row = connection.execute(sa.select(evaluations.c.rules_version, evaluations.c.tracks_hash).where(*where)).one_or_none()
    if row is None:
        return None
    name = row.rules_version
    rule_set = rules.parse(rules.DEFAULT_TEXT) if name == DEFAULT_VERSION else get(db, int(name) if name.isdecimal() else 0).rule_set
    return JudgedBy(name, rule_set, row.tracks_hash)


def outdated_in_any(db: Database, person: Person = ANYONE) -> list[str]:
    """Those of `outdated`, by whichever asset judged them."""
    return list(dict.fromkeys([*outdated(db, person), *outdated(db, person, asset=DESCRIBED_ALERTS)]))


def outdated(db: Database, person: Person = ANYONE, *, asset: str = ALERTS) -> list[str]:
    """The ready videos that `person` may see, oldest ingest first, whose alerts come from rules that said something else for their camera than the active ones.

    Of an `asset` only the rules count that it judges, and only videos that it has judged. Only what decides alerts counts: another comment, severity or
    channel, or a rule of another camera, makes no video outdated.
    """
    evaluated = (
        sa.select(videos.c.video_id, videos.c.camera, evaluations.c.rules_version)
        .join(evaluations, evaluations.c.video_id == videos.c.video_id)
        .where(videos.c.state == str(VideoState.READY), evaluations.c.asset == asset)
        .order_by(videos.c.ingested_at, videos.c.video_id)
    )
    with db.read() as connection:
        current = _newest(connection)
        rows = connection.execute(evaluated).all()
        texts = {str(row.id): row.text for row in connection.execute(sa.select(rule_sets.c.id, rule_sets.c.text))}
    texts[DEFAULT_VERSION] = rules.DEFAULT_TEXT
    in_force = DEFAULT_VERSION if current is None else str(current.id)

    @cache
    def rule_set(version: str) -> rules.RuleSet | None:
        try:
            return rules.parse(texts[version])
        except (KeyError, RulesError):  # a home restored without its old versions, or one that the language has left behind
            return None

    @cache
    def says(version: str, camera: str) -> object:
        found = rule_set(version)
        if found is None:
            return None
        mine = found.for_camera(camera)
        return canonical((mine.on_tracks if asset == ALERTS else mine.on_description).configuration(camera))

    return [row.video_id for row in rows if person.may_see(row.camera) and says(row.rules_version, row.camera) != says(in_force, row.camera)]


def brought(db: Database, *, asset: str = ALERTS) -> list[str]:
    """The ready videos whose alerts (those of an `asset`) a promotion has brought to the active version, outside of any run: pictures and clips of them may not
    have followed.
    """
    query = (
        sa.select(videos.c.video_id)
        .join(evaluations, evaluations.c.video_id == videos.c.video_id)
        .where(videos.c.state == str(VideoState.READY), evaluations.c.asset == asset, evaluations.c.run_id.is_(None))
        .order_by(videos.c.ingested_at, videos.c.video_id)
    )
    with db.read() as connection:
        current = _newest(connection)
        return [] if current is None else list(connection.execute(query.where(evaluations.c.rules_version == str(current.id))).scalars())


def apply(db: Database, text: str, *, source: str, who: str, why: str, now: datetime, base: int | None = None) -> RuleVersion:
    """Make `text` the active rule set; the very same text again makes no new version. `base` is the version that it was made from, None where nobody knows.

    Raises:
        RulesError: the text cannot be used; nothing changes.
        RulesMovedOn: another version than `base` is active, so that `text` would undo what somebody else changed; nothing changes.
    """
    digest = rules.parse(text, source=source).hash
    with db.write() as connection:
        return _apply(connection, text, digest, source=source, who=who, why=why, now=now, base=base)


@dataclass(frozen=True)
class Since:
    """What became active after version `base`, whose text was `before`: the newer versions, newest first, and what is different in the newest by name.

    `changes` is None where one of them cannot be read.
    """

    base: int
    before: str
    newer: list[RuleVersion]
    changes: dict[str, str] | None

    @property
    def words(self) -> str:
        """For people."""
        told = [f"version {each.id} by {each.who}" + (f" ({each.why})" if each.why else "") for each in reversed(self.newer[:MOST_TOLD])]
        before = f"{len(self.newer) - MOST_TOLD} more versions, then " if len(self.newer) > MOST_TOLD else ""
        changed = ", ".join(f"{what} {how}" for what, how in (self.changes or {}).items())
        return f"after version {self.base} came {before}{'; '.join(told)}, with {changed or 'no change to a rule, zone or line'}"


def since(db: Database, base: int) -> Since:
    """What became active after version `base`; nothing where that is the active one."""
    with db.read() as connection:
        return _since(connection, base)


def ensure(db: Database, text: str, *, source: str, why: str, now: datetime) -> RuleVersion:
    """The active version; on a fresh home `text` becomes it, whoever of several processes comes first."""
    current = active(db)
    if current is not None:
        return current
    digest = rules.parse(text, source=source).hash
    with db.write() as connection:
        _one_at_a_time(connection)
        return _newest(connection) or _apply(connection, text, digest, source=source, who="start", why=why, now=now)


def restore(db: Database, found: Sequence[RuleVersion]) -> list[int]:
    """Bring versions back under their own numbers; a number that is taken stays as it is. Returns the numbers that came back."""
    restored = []
    with db.write() as connection:
        _one_at_a_time(connection)
        taken = set(connection.execute(sa.select(rule_sets.c.id)).scalars())
        for version in sorted(found, key=lambda each: (each.id, each.applied_at)):
            if version.id not in taken:
                connection.execute(sa.insert(rule_sets).values(**asdict(version)))
                taken.add(version.id)
                restored.append(version.id)
        if restored and connection.dialect.name == "postgresql":  # SQLite counts on from the largest number by itself
            connection.execute(sa.text("select setval(pg_get_serial_sequence('rule_sets', 'id'), (select max(id) from rule_sets))"))
    return restored


def _newest(connection: Connection) -> RuleVersion | None:
    row = connection.execute(sa.select(rule_sets).order_by(rule_sets.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else RuleVersion(**row._asdict())


def _since(connection: Connection, base: int) -> Since:
    newer = [RuleVersion(**row._asdict()) for row in connection.execute(sa.select(rule_sets).where(rule_sets.c.id > base).order_by(rule_sets.c.id.desc()))]
    before = connection.execute(sa.select(rule_sets.c.text).where(rule_sets.c.id == base)).scalar() or rules.DEFAULT_TEXT
    try:
        changes = rules.parse(before).changes(newer[0].rule_set) if newer else {}
    except RulesError:
        changes = None
    return Since(base, before, newer, changes)


def _apply(connection: Connection, text: str, digest: str, *, source: str, who: str, why: str, now: datetime, base: int | None = None) -> RuleVersion:
    _one_at_a_time(connection)
    current = _newest(connection)
    if current is not None and current.text == text:
        return current
    if base is not None and base != (0 if current is None else current.id):
        found = _since(connection, base)
        if current is None or found.before != current.text:  # nothing is lost where what came meanwhile was taken back
            raise _moved_on(found, current)
    values = {"text": text, "hash": digest, "source": source[:1024], "who": who[:128], "why": why, "applied_at": now}
    key = connection.execute(sa.insert(rule_sets).values(**values)).inserted_primary_key
    return RuleVersion(id=key[0] if key else 0, **values)


def _moved_on(found: Since, current: RuleVersion | None) -> RulesMovedOn:
    base = found.base
    if current is None or not found.newer:
        return RulesMovedOn(f"there is no version {base} of the rules; {f'version {current.id}' if current else 'none'} is active", base=base)
    message = (
        f"other rules became active than those that this draft was made from: {found.words}. Nothing was changed; look at it with "
        f"`vp rules diff {base} {current.id}`, take over what is to stay, and promote that on version {current.id} (`--on {current.id}`, in the API `base`)"
    )
    return RulesMovedOn(message, base=base, active=current.id, changes=found.changes or {})


def _one_at_a_time(connection: Connection) -> None:
    connection.execute(sa.select(counters.c.value).where(counters.c.name == "alerts").with_for_update())
