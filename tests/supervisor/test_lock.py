import os
import subprocess
import sys

import pytest

from video_platform.errors import HomeLocked, SettingsError
from video_platform.supervisor import lock

HOLDER = """
import sys
from pathlib import Path
from video_platform.supervisor import lock
with lock.hold(Path(sys.argv[1]), "vp up"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "home.lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_a_second_holder_is_told_who_the_first_is_and_what_to_do(tmp_path, holder):
    told = rf"vp up \(process {holder.pid}, since 20.*vp process cannot; use `vp ingest PATH --wait`"
    with pytest.raises(HomeLocked, match=told) as caught, lock.hold(tmp_path / "home.lock", "vp process"):
        pass
    assert caught.value.owner.pid == holder.pid


def test_a_second_vp_up_is_told_where_the_page_of_the_first_is(tmp_path, holder):
    def told():
        with pytest.raises(HomeLocked) as caught, lock.hold(tmp_path / "home.lock", "vp up"):
            pass
        return caught.value.message

    assert "so vp up cannot; it is still starting: use that one" in told()
    (tmp_path / "addresses.json").write_text('{"web": "http://127.0.0.1:8511", "dagster": "http://127.0.0.1:3000"}')
    assert "its page is http://127.0.0.1:8511: use that one" in told()
    assert f"`kill {holder.pid}`" in told()
    assert "VIDEO_PLATFORM_HOME" in told()
    assert "vp ingest" not in told()


def test_a_killed_holder_holds_nothing(tmp_path, holder):
    holder.kill()
    holder.wait()
    assert lock.owner(tmp_path / "home.lock") is None
    with lock.hold(tmp_path / "home.lock", "vp process"):
        assert lock.owner(tmp_path / "home.lock").pid == os.getpid()


def test_looking_for_the_owner_never_keeps_anybody_out(tmp_path):
    path = tmp_path / "deep" / "home.lock"
    assert lock.owner(path) is None
    for _ in range(20):
        with lock.hold(path, "vp process"):
            assert lock.owner(path).what == "vp process"
        assert lock.owner(path) is None


def test_a_home_that_cannot_be_made_is_named_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(SettingsError, match=r"the home .*file cannot be made \(File exists\); set VIDEO_PLATFORM_HOME"),
        lock.hold(tmp_path / "file" / "home.lock", "vp up"),
    ):
        pass


def test_a_home_that_the_lock_makes_is_its_owners_alone(tmp_path):
    with lock.hold(tmp_path / "home" / "home.lock", "vp up"):
        assert (tmp_path / "home").stat().st_mode & 0o077 == 0
