"""Files that try to make the platform open something else: nothing but the file itself is ever opened, on disk or network."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import av
import pytest
from canaries import EVIL, POINTING, Canary, hls

from video_platform.analysis import media, worker
from video_platform.analysis.worker import Budget
from video_platform.errors import MediaError


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    made = Canary(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("name", EVIL)
def test_a_file_that_points_elsewhere_is_refused_and_nothing_else_is_opened(tmp_path: Path, canary: Canary, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(EVIL[name](canary))
    with pytest.raises(MediaError) as caught:
        media.probe(path)
    assert caught.value.code in ("format_refused", "not_a_video")
    assert not canary.touched()


def test_the_canary_notices_a_careless_reader(tmp_path: Path, canary: Canary) -> None:
    path = tmp_path / "playlist.m3u8"
    path.write_bytes(hls(canary.sibling.name))
    with av.open(str(path)):
        pass
    assert canary.touched()


def pointing(folder: Path, canary: Canary, name: str) -> Path:
    POINTING[name](folder, canary)
    canary.forget()
    (path,) = [each for each in folder.iterdir() if each.name.startswith("a.")]
    return path


@pytest.mark.parametrize("name", POINTING)
def test_a_movie_that_keeps_its_pictures_in_another_file_gets_none(tmp_path: Path, canary: Canary, name: str) -> None:
    try:
        with media.open_video(pointing(tmp_path, canary, name)) as video:
            for _ in video.container.decode(video.stream):
                pass
    except MediaError:
        pass
    assert not canary.touched()


@pytest.mark.parametrize("name", [*EVIL, *POINTING])
def test_the_child_process_opens_nothing_else(tmp_path: Path, canary: Canary, name: str) -> None:
    path = tmp_path / name
    if name in EVIL:
        path.write_bytes(EVIL[name](canary))
    else:
        path = pointing(tmp_path, canary, name)
    out = tmp_path / "out"
    out.mkdir()
    for task in ("probe", "one_pass"):
        payload = {"path": str(path), "out_dir": str(out), "wanted": ["processed_video", "scenes"], "proxy": {"remux": False}}
        if name in POINTING:
            with suppress(MediaError):
                worker.run(task, payload, limits=Budget(wall_s=120))
        else:
            with pytest.raises(MediaError) as caught:
                worker.run(task, payload, limits=Budget(wall_s=120))
            assert caught.value.code in ("format_refused", "not_a_video")
    assert not canary.touched()
