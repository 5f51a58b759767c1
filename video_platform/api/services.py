"""What the routes work with, on behalf of whom, and how they get at it."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated

from fastapi import Depends, Request

from video_platform.access import ANYONE, Person
from video_platform.api.gate import NOBODY, person_of
from video_platform.api.signing import MediaSigner
from video_platform.catalog import Catalog
from video_platform.deeds import Deeds
from video_platform.platform import Platform
from video_platform.search import Search


@dataclass(frozen=True)
class Services:
    """The write side and the read side, opened once per process by whoever starts the server.

    A route gets them for the `person` who asks: its `catalog` shows what that person may see, and changes go through `deeds`.
    """

    platform: Platform
    catalog: Catalog
    person: Person = ANYONE
    signer: MediaSigner | None = None
    finder: Search | None = None

    def __post_init__(self) -> None:
        if self.finder is None:  # one for all requests: it remembers vectors
            object.__setattr__(self, "finder", Search(self.platform.settings, self.platform.db, self.catalog))

    @property
    def search(self) -> Search:
        """Finding; it is told who asks with every question."""
        assert self.finder is not None
        return self.finder

    @property
    def deeds(self) -> Deeds:
        """Changes, as this person."""
        return Deeds(self.platform, self.catalog, self.person)

    def url(self, key: str | None) -> str | None:
        """The address of an object, signed for this person; None for none."""
        return None if key is None else self.address(key)

    def address(self, key: str, download: str | None = None) -> str:
        """The address of an object, signed for this person; `download` is the name to save it under."""
        assert self.signer is not None
        return self.signer.url(key, self.person, download=download)

    def day_address(self, day: date, name: str, download: str | None = None) -> str:
        """The address of a file of a day's reel, signed for this person."""
        assert self.signer is not None
        return self.signer.day_url(day, name, self.person, download=download)


def _services(request: Request) -> Services:
    opened: Services = request.app.state.services
    person = person_of(request.scope) or NOBODY
    return replace(opened, catalog=opened.catalog.seen_by(person), person=person, signer=request.app.state.signer)


Ours = Annotated[Services, Depends(_services)]
"""Type of a route's argument that receives the services."""
