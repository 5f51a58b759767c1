"""Addresses of media that work for a short while and for nobody who was not given one.

A player and an `<img>` cannot send a token, so the address carries its own proof: the instant at which it ends and a signature over path, instant and person.
Only the path of one file is signed; `download` changes nothing but a header and stays outside. For anybody else than whom it was given to it is no address.
"""

import hmac
import math
import os
import secrets
import stat
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from urllib.parse import quote, urlencode

from itsdangerous import Signer

from video_platform.access import ANYONE, Person
from video_platform.errors import PlatformError
from video_platform.layout import api_day_media, api_media, parse_file_key
from video_platform.settings import Settings

KEY_FILE = "media.key"
"""Name of the file in the home that holds the key; readable by its owner only."""

KEY_BYTES = 32
SALT = "video-platform.media.v2"

MAX_FIELD = 200
"""Longest `expires` or `signature` that is looked at."""


class SignatureRefused(PlatformError):
    """A media address that is expired, altered, or signed for another file or person; answered with 403."""


class MediaSigner:
    """Signs and checks media paths.

    An address lives between `life_s / 2` and `life_s` seconds: its end is rounded to half lives, so that a page drawn again gives the player the same address
    and the browser keeps what it has loaded.
    """

    def __init__(self, key: bytes, life_s: float, clock: Callable[[], float] = time.time) -> None:
        self._signer = Signer(key, salt=SALT, key_derivation="hmac")
        self._life_s = life_s
        self._clock = clock

    @property
    def life_s(self) -> float:
        """The longest life of an address, seconds."""
        return self._life_s

    def sign(self, path: str, person: Person = ANYONE) -> str:
        """`path` (percent-encoded, from the root of the server) with the query that lets this person read it."""
        half = self._life_s / 2
        expires = math.floor((math.floor(self._clock() / half) + 2) * half * 1000)
        return f"{path}?{urlencode({'expires': expires, 'signature': self._signature(path, str(expires), person)})}"

    def url(self, key: str, person: Person = ANYONE, *, download: str | None = None) -> str:
        """The signed address of the object `key`, which is one of a video's content-addressed files; `download` is the name to save it under."""
        video_id, asset, sha256, extension = parse_file_key(key)
        return self._url(api_media(video_id, asset, f"{sha256}.{extension}"), person, download)

    def day_url(self, day: date, name: str, person: Person = ANYONE, *, download: str | None = None) -> str:
        """The signed address of the file of a day's reel that is called `name`."""
        return self._url(api_day_media(day.isoformat(), name), person, download)

    def _url(self, path: str, person: Person, download: str | None) -> str:
        signed = self.sign(path, person)
        return signed if download is None else f"{signed}&download={quote(download.encode('utf-8', 'replace'), safe='')}"

    def check(self, path: str, expires: str, signature: str, person: Person = ANYONE) -> None:
        """Pass when `signature` was made for this `path` and person, and its life has not ended.

        Raises:
            SignatureRefused: saying which of the two it is.
        """
        wanted = self._signature(path, expires[:MAX_FIELD], person)
        if len(expires) > MAX_FIELD or len(signature) > MAX_FIELD or not hmac.compare_digest(signature.encode(), wanted.encode()):
            raise SignatureRefused("this address was not made by this server for this file and for you; open the video's page again for a fresh one")
        if self._clock() * 1000 >= int(expires):
            raise SignatureRefused("this address has expired; open the video's page again for a fresh one")

    def _signature(self, path: str, expires: str, person: Person) -> str:
        return self._signer.get_signature(f"{path}\n{expires}\n{person.name}".encode()).decode()


def open_signer(settings: Settings) -> MediaSigner:
    """The signer of this home; its key is made on first use and shared by all processes of the home."""
    return MediaSigner(_key(settings.home / KEY_FILE), settings.web.media_url_s)


def home_key(settings: Settings) -> bytes:
    """The key of this home, for whatever else it signs (with a salt of its own)."""
    return _key(settings.home / KEY_FILE)


def _key(path: Path) -> bytes:
    try:
        return _read(path)
    except FileNotFoundError:
        _create(path)
        return _read(path)


def _read(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) < KEY_BYTES:
        raise PlatformError(f"{path.name} in the home is damaged ({len(key)} bytes); remove it and start again, addresses given out before end then")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o600)
    return key


def _create(path: Path) -> None:
    """Write a key where there is none; of two processes that start at once, one wins and both read the winner's."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mine = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(KEY_BYTES).encode())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(mine, path)
        except FileExistsError:
            return
    finally:
        mine.unlink()
