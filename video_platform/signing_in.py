"""How somebody is let in, and who a request comes from: passwords, one-time links, providers, tokens.

Passwords are hashed with Argon2id. A wrong name costs the same work and gets the same answer as a wrong password, and tries are counted by name and by
address; the count lives in the process and is bounded. What a session or token is worth is asked of the database at most a second late.
"""

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from video_platform.access import ANYONE, Person, Role, check_name
from video_platform.errors import InputError, SignInRefused
from video_platform.services.database import Database, audit, sessions, users
from video_platform.settings import Settings

COOKIE = "vp_session"
"""The cookie that holds a browser's session."""

FRESH_S = 1.0
"""How old the answer on a session or token may be: a page with many pictures then costs one query, and whoever is signed out is out a second later."""

MAX_REMEMBERED = 2_000
"""Sessions and tokens remembered at once."""

MIN_PASSWORD = 10
MAX_PASSWORD = 200
"""Characters of a password: below the first it is guessed, above the second only the hash gets slower."""

WINDOW_S = 300.0
TRIES_BY_NAME = 10
TRIES_BY_ADDRESS = 20
"""Failed tries within the window after which further ones are not looked at until it has passed."""

MAX_COUNTED = 10_000
"""Names and addresses whose tries are counted; the oldest are forgotten first."""

HASHES_AT_ONCE = 2
"""Passwords hashed side by side: each takes 64 MiB and 40 ms of four threads."""

REFUSED = "name or password is wrong"
NOT_TAKEN = "this link has expired or was used already; ask for another one"


class Tries:
    """Counts failed tries by key; safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counted: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, limits: dict[str, int]) -> bool:
        """Count one try for each of these keys, each with its limit.

        False when this try was the first that went beyond a limit, so that somebody may write it down.

        Raises:
            SignInRefused: a limit was reached before; `retry_after_s` says how long it holds.
        """
        now = self._clock()
        with self._lock:
            fresh = {key: self._count(key, now) for key in limits}
            beyond = [key for key, (count, _) in fresh.items() if count >= limits[key]]
            if beyond:
                wait_s = max(WINDOW_S - (now - fresh[key][1]) for key in beyond)
                raise SignInRefused(f"too many tries; try again in {max(1, round(wait_s / 60))} min", retry_after_s=max(1, int(wait_s)))
            for key, (count, begun) in fresh.items():
                self._counted[key] = (count + 1, begun)
                self._counted.move_to_end(key)
            while len(self._counted) > MAX_COUNTED:
                self._counted.popitem(last=False)
            return all(count + 1 < limits[key] for key, (count, _) in fresh.items())

    def forget(self, key: str) -> None:
        """Start anew for a key that succeeded."""
        with self._lock:
            self._counted.pop(key, None)

    def _count(self, key: str, now: float) -> tuple[int, float]:
        count, begun = self._counted.get(key, (0, now))
        return (0, now) if now - begun >= WINDOW_S else (count, begun)


class Passwords:
    """Argon2id; safe to share between threads."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._turn = threading.Semaphore(HASHES_AT_ONCE)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe(16))

    def hash(self, password: str) -> str:
        """What is kept of a password.

        Raises:
            InputError: too short or too long.
        """
        if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
            raise InputError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters; this one has {len(password)}")
        with self._turn:
            return self._hasher.hash(password)

    def fits(self, kept: str | None, password: str) -> bool:
        """Whether this is the password; without one the same work is done, and the answer is no."""
        with self._turn:
            try:
                self._hasher.verify(kept or self._nobodys, password[: MAX_PASSWORD + 1])
            except (VerifyMismatchError, InvalidHashError):
                return False
        return kept is not None

    def is_weaker(self, kept: str) -> bool:
        """Whether a hash was made with less work than those of today."""
        return self._hasher.check_needs_rehash(kept)


class Doors:
    """The ways in of one installation; safe to share between threads."""

    def __init__(self, settings: Settings, db: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.settings, self.db, self._clock = settings, db, clock
        self._passwords, self._tries = Passwords(), Tries()
        self._known: OrderedDict[str, tuple[float, Person | None]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        """Whether nobody signs in here: whoever reaches it may do everything."""
        return self.settings.access.sign_in == "none"

    # ---- who asks --------------------------------------------------------------------------------------------------------------------------------------

    def person(self, session: str | None, authorization: str | None = None) -> Person | None:
        """Who sends a request with this cookie or this Authorization header; None when nobody may. A header that is there decides alone."""
        if self.open:
            return ANYONE
        if authorization is not None:
            scheme, _, token = authorization.strip().partition(" ")
            return (
                self._remembered(f"t{sessions.digest_of(token)}", lambda: sessions.person_of_token(self.db, token.strip(), self._clock()))
                if (scheme.lower() == "bearer")
                else None
            )
        if not session:
            return None
        return self._remembered(f"s{sessions.digest_of(session)}", lambda: sessions.person_of_session(self.db, session, self._clock()))

    def _remembered(self, key: str, ask: Callable[[], Person | None]) -> Person | None:
        now = time.monotonic()
        with self._lock:
            known = self._known.get(key)
        if known is not None and now - known[0] < FRESH_S:
            return known[1]
        found = ask()
        with self._lock:
            self._known[key] = (now, found)
            self._known.move_to_end(key)
            while len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        return found

    # ---- ways in ---------------------------------------------------------------------------------------------------------------------------------------

    def with_password(self, name: str, password: str, address: str, *, instead_of: str | None = None) -> str:
        """Sign somebody in; returns the secret of the new session. A session that the browser had ends.

        Raises:
            SignInRefused: wrong, or too often; which of name and password was wrong is not told.
        """
        try:
            known = check_name(name)
        except InputError:
            known = ""
        by_name, by_address = f"name {known}", f"address {address}"
        if not self._tries.admit({by_name: TRIES_BY_NAME, by_address: TRIES_BY_ADDRESS}):
            audit.note(self.db, "nobody", "sign-in-blocked", known, now=self._clock(), address=address)
        kept = users.password_of(self.db, known) if known else None
        if not self._passwords.fits(kept, password):
            raise SignInRefused(REFUSED)
        self._tries.forget(by_name)
        if kept is not None and self._passwords.is_weaker(kept):
            users.rehash(self.db, known, kept, self._passwords.hash(password))
        return self._begin(known, "password", instead_of)

    def with_link(self, link: str, address: str, *, instead_of: str | None = None) -> str:
        """Use a one-time link; returns the secret of the new session.

        Raises:
            SignInRefused: it was used, has expired, or is none.
        """
        self._tries.admit({f"address {address}": TRIES_BY_ADDRESS})
        now = self._clock()
        with self.db.together():
            found = sessions.redeem(self.db, link, now=now, expires_at=self._end(now), instead_of=instead_of)
            if found is not None:
                audit.note(self.db, found[0], "sign-in", found[0], now=now, by="link")
        if found is None:
            raise SignInRefused(NOT_TAKEN)
        return found[1]

    def vouched(self, subject: str, name: str, role: Role, cameras: Collection[str] | None, *, instead_of: str | None = None) -> str:
        """Sign in whom a provider vouches for; returns the secret of the new session. Raises what `users.vouched` raises."""
        person = users.vouched(self.db, subject, name, role, cameras, self._clock())
        return self._begin(person.name, "provider", instead_of)

    def sign_out(self, session: str) -> None:
        """End a browser's session."""
        with self.db.together():
            name = sessions.end(self.db, session)
            if name is not None:
                audit.note(self.db, name, "sign-out", name, now=self._clock())
        with self._lock:
            self._known.pop(f"s{sessions.digest_of(session)}", None)

    # ---- what lets in ----------------------------------------------------------------------------------------------------------------------------------

    def link(self, name: str, who: str, minutes: float | None = None) -> str:
        """The path of a link that signs this person in once, below the address of the web app."""
        now = self._clock()
        lasts = timedelta(minutes=self.settings.access.link_minutes if minutes is None else minutes)
        with self.db.together():
            secret = sessions.make_link(self.db, name, now=now, expires_at=now + lasts)
            audit.note(self.db, who, "user-link", name, now=now)
        return f"/sign-in/link?token={secret}"

    def hash(self, password: str) -> str:
        """What is kept of a password. Raises InputError for one that is too short."""
        return self._passwords.hash(password)

    def _begin(self, name: str, means: str, instead_of: str | None) -> str:
        now = self._clock()
        with self.db.together():
            secret = sessions.begin(self.db, name, means, now=now, expires_at=self._end(now), instead_of=instead_of)
            audit.note(self.db, name, "sign-in", name, now=now, by=means)
        return secret

    def _end(self, now: datetime) -> datetime:
        return now + timedelta(hours=self.settings.access.session_hours)
