"""Writing results: a full disk has one name, whoever notices it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from video_platform.errors import StoreFull, is_full


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn the error of a full disk into StoreFull that names `folder`."""
    try:
        yield
    except Exception as error:
        if is_full(error):
            raise StoreFull(f"no space is left in {folder}; free some and process the video again", path=str(folder)) from error
        raise
