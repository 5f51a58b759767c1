"""The HTTP API: what a browser, a script or another program may ask of the platform. Routes and their answers: docs/api.md."""

from video_platform.api.app import create_api
from video_platform.api.services import Services

__all__ = ["Services", "create_api"]
