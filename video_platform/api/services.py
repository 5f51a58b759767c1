"""What the routes work with, and how they get at it."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from video_platform.catalog import Catalog
from video_platform.platform import Platform


@dataclass(frozen=True)
class Services:
    """The write side and the read side, opened once per process by whoever starts the server."""

    platform: Platform
    catalog: Catalog


def _services(request: Request) -> Services:
    return request.app.state.services


Ours = Annotated[Services, Depends(_services)]
"""Type of a route's argument that receives the services."""
