"""Who may do what: roles, and people with the cameras that they may see.

`ANYONE` is the person of an installation without sign-in: whoever reaches it may do everything. Where people sign in, nothing is decided by what a client
says of itself; `signing_in` says who a request comes from.
"""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from video_platform.errors import InputError, NotAllowed

NAME = re.compile(r"\w[\w.@+-]{0,63}")
"""The name of a person: letters, digits and . @ + - _, as e-mail addresses and accounts have them; never an option of a command, never markup."""

CAMERA_GLOB = re.compile(r"[^\s,\x00-\x1f\x7f]{1,64}")
"""A camera, or a pattern with `*`, `?` and `[...]` for several."""

MAX_CAMERAS = 100
"""Patterns of one person: more is better said with a `*`."""


class Role(StrEnum):
    """What somebody may do; each role may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


RANK = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}


@dataclass(frozen=True)
class Person:
    """Somebody who asks. `cameras` are patterns of camera names (`gate-*`), None for all cameras, none at all for none; an admin has all."""

    name: str
    role: Role
    cameras: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.role is Role.ADMIN and self.cameras is not None:
            raise InputError(f"an admin sees all cameras; {self.name!r} can be viewer or operator of some")

    @property
    def sees_all(self) -> bool:
        """Whether no camera is hidden from this person."""
        return self.cameras is None

    def may(self, role: Role) -> bool:
        """Whether this person may do what `role` may."""
        return RANK[self.role] >= RANK[role]

    def may_see(self, camera: str) -> bool:
        """Whether videos and alerts of this camera are shown to this person."""
        return self.cameras is None or any(fnmatchcase(camera, glob) for glob in self.cameras)

    def must(self, role: Role, what: str) -> None:
        """Pass when this person may do what `role` may; `what` says what was asked for, as in "delete videos".

        Raises:
            NotAllowed: naming who may.
        """
        if not self.may(role):
            raise NotAllowed(f"{self.name} ({self.role}) may not {what}; that needs role {role}", person=self.name, role=str(self.role), needed=str(role))


ANYONE = Person("web", Role.ADMIN)
"""Whoever reaches an installation without sign-in."""


def check_name(text: str) -> str:
    """The one way in which a person's name is written: lower case, composed letters.

    Raises:
        InputError: it is no name.
    """
    name = unicodedata.normalize("NFKC", text).strip().lower()
    if not NAME.fullmatch(name):
        raise InputError(f"{text[:80]!r} is no name for a person: letters, digits and . @ + - _, at most 64, beginning with a letter or digit")
    return name


def check_cameras(role: Role, globs: Collection[str]) -> tuple[str, ...] | None:
    """Patterns of cameras as they are kept: none given means all.

    Raises:
        InputError: a pattern that is none, too many, or any for an admin.
    """
    found = tuple(dict.fromkeys(glob.strip() for glob in globs if glob.strip()))
    if not found or "*" in found:
        return None
    if role is Role.ADMIN:
        raise InputError("an admin sees all cameras; leave the cameras out, or choose role viewer or operator")
    if len(found) > MAX_CAMERAS:
        raise InputError(f"at most {MAX_CAMERAS} patterns of cameras can be given; `gate-*` stands for many")
    for glob in found:
        if not CAMERA_GLOB.fullmatch(glob):
            raise InputError(f"{glob[:80]!r} is neither a camera nor a pattern such as gate-*")
    return found
