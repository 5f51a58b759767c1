"""Models that Ollama fetches for us: asked for over its API, and how far each is kept in the database, so that pages and health say it."""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import httpx
import sqlalchemy as sa

from video_platform.errors import ModelUnavailable
from video_platform.services import ollama
from video_platform.services.database.engine import Database
from video_platform.services.database.tables import model_pulls
from video_platform.settings import LanguageModelSettings

CONNECT_S = 5.0
SILENCE_S = 600.0
"""Longest silence within a pull: Ollama says nothing while it checks the hash of many gigabytes on a slow disk."""

WRITE_EVERY_S = 1.0
"""How often progress is written down; pages look about as often."""

FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 60.0
"""Between two tries when Ollama or its registry is away."""

STALE_S = 900.0
"""A pull of which nothing was heard for so long has lost its process and is not shown any more."""

MAX_LINE_BYTES = 64 * 1024


class PullState(StrEnum):
    """Where a model stands."""

    WAITING = "waiting"
    PULLING = "pulling"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Pull:
    """One model that was asked for: `message` says what is wrong or what happens now."""

    model: str
    state: PullState
    completed_bytes: int
    total_bytes: int
    message: str
    updated_at: datetime

    @property
    def percent(self) -> int | None:
        """How much is there, 0-100; None before the size is known."""
        return min(100, self.completed_bytes * 100 // self.total_bytes) if self.total_bytes else None

    @property
    def words(self) -> str:
        """The state in a line for people."""
        if self.state is PullState.READY:
            return f"{self.model} is there"
        if self.state is PullState.FAILED:
            return f"{self.model} cannot be fetched: {self.message}"
        if self.percent is None:
            return f"{self.model} is waited for: {self.message}"
        return f"{self.model} is being fetched: {self.percent} % of {self.total_bytes / 1e9:.1f} GB"


def under_way(db: Database, now: datetime) -> list[Pull]:
    """The models that are asked for and not there yet, by name."""
    query = sa.select(model_pulls).where(model_pulls.c.state != PullState.READY.value).order_by(model_pulls.c.model)
    with db.read() as connection:
        found = [_pull(row) for row in connection.execute(query)]
    return [each for each in found if (now - each.updated_at).total_seconds() < STALE_S]


def every(db: Database) -> list[Pull]:
    """All models that were ever asked for, by name."""
    with db.read() as connection:
        return [_pull(row) for row in connection.execute(sa.select(model_pulls).order_by(model_pulls.c.model))]


def pull(db: Database, settings: LanguageModelSettings, model: str, *, patient: bool, insecure: bool = False) -> Iterator[Pull]:
    """Have Ollama fetch `model`, telling and keeping how far it is; ends when it is there. `insecure` allows a registry without TLS.

    Raises:
        ModelUnavailable: Ollama does not answer or refuses; with `patient` this is tried again for as long as it takes.
    """
    wait_s = FIRST_WAIT_S
    while True:
        try:
            for each in _once(settings, model, insecure):
                _keep(db, each)
                yield each
            return
        except ModelUnavailable as error:
            failed = Pull(model, PullState.WAITING if patient else PullState.FAILED, 0, 0, error.message, datetime.now(UTC))
            _keep(db, failed)
            yield failed
            if not patient:
                raise
        time.sleep(wait_s)
        wait_s = min(LONGEST_WAIT_S, wait_s * 2)


def _once(settings: LanguageModelSettings, model: str, insecure: bool) -> Iterator[Pull]:
    """One try: progress at most every `WRITE_EVERY_S`, and the end."""
    sizes: dict[str, tuple[int, int]] = {}
    told_at = float("-inf")
    ended = False
    for said in _stream(settings, model, insecure):
        if "error" in said:
            raise ModelUnavailable(f"Ollama cannot fetch {model}: {str(said['error'])[:300]}", model=model)
        if said.get("digest"):
            sizes[str(said["digest"])] = (_bytes(said.get("completed")), _bytes(said.get("total")))
        ended = said.get("status") == "success"
        if ended or time.monotonic() - told_at >= WRITE_EVERY_S:
            told_at = time.monotonic()
            completed, total = (sum(each[at] for each in sizes.values()) for at in (0, 1))
            yield Pull(model, PullState.READY if ended else PullState.PULLING, completed, total, str(said.get("status", ""))[:200], datetime.now(UTC))
    if not ended:
        raise ModelUnavailable(f"Ollama stopped in the middle of fetching {model}", model=model)


def _bytes(said: object) -> int:
    """A number of bytes as the server says it; 0 for anything else."""
    return said if isinstance(said, int) and said > 0 else 0


def _stream(settings: LanguageModelSettings, model: str, insecure: bool) -> Iterator[dict[str, object]]:
    base, headers, verify = ollama.way_to(settings)
    timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
    try:
        with (
            httpx.Client(base_url=base, headers=headers, verify=verify, timeout=timeout, trust_env=False) as client,
            client.stream("POST", "/api/pull", json={"model": model, "insecure": insecure, "stream": True}) as reply,
        ):
            if reply.status_code != httpx.codes.OK:
                raise ModelUnavailable(f"Ollama at {base} refused to fetch {model} ({reply.status_code})", model=model)
            reply.encoding = "utf-8"  # whatever it says: some of the codecs that a server may name give no text
            for line in reply.iter_lines():
                said = json.loads(line[:MAX_LINE_BYTES]) if line.strip() else {}
                if isinstance(said, dict):
                    yield said
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ModelUnavailable(f"no Ollama answers at {base} ({type(error).__name__}): start it, or look at {ollama.VARIABLE}HOST", model=model) from error
    except (ValueError, RecursionError) as error:
        raise ModelUnavailable(f"what answers at {base} does not speak Ollama's protocol", model=model) from error


def _keep(db: Database, each: Pull) -> None:
    values = {
        "state": each.state.value,
        "completed_bytes": each.completed_bytes,
        "total_bytes": each.total_bytes,
        "message": each.message,
        "updated_at": each.updated_at,
    }
    with db.write() as connection:
        if not connection.execute(sa.update(model_pulls).where(model_pulls.c.model == each.model).values(values)).rowcount:
            connection.execute(sa.insert(model_pulls).values(model=each.model, **values))


def _pull(row: sa.Row) -> Pull:
    return Pull(row.model, PullState(row.state), row.completed_bytes, row.total_bytes, row.message, row.updated_at)


def words(pulls: Sequence[Pull]) -> str:
    """All of them in a line; empty for none."""
    return "; ".join(each.words for each in pulls)
