"""The services of this process, opened once: by the server before it serves, by a test for the home it chose. No Streamlit here, so that it costs nothing."""

import threading

from video_platform import settings as platform_settings
from video_platform.api import Services
from video_platform.api.media import MediaSigner, open_signer
from video_platform.catalog import Catalog
from video_platform.platform import open_platform
from video_platform.signing_in import Doors

_LOCK = threading.Lock()
_OPENED: list[tuple[Services, MediaSigner, Doors]] = []


def _opened() -> tuple[Services, MediaSigner, Doors]:
    with _LOCK:
        if not _OPENED:
            settings = platform_settings.load()
            platform = open_platform(settings)
            services = Services(platform, Catalog(settings, platform.db, platform.store))
            _OPENED.append((services, open_signer(settings), Doors(settings, platform.db)))
        return _OPENED[0]


def services() -> Services:
    """Write side and read side, as the environment says. Raises PlatformError when the home cannot be used."""
    return _opened()[0]


def signer() -> MediaSigner:
    """Signs addresses of media."""
    return _opened()[1]


def doors() -> Doors:
    """Says who asks."""
    return _opened()[2]


def close() -> None:
    """Close what was opened; the next call opens anew."""
    with _LOCK:
        for opened, *_ in _OPENED:
            opened.catalog.close()
            opened.platform.close()
        _OPENED.clear()
