"""What only the embedded event log has: a file that can be full, damaged, locked, shared by forks, or opened by many at once."""

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from video_platform.errors import LogUnavailable, StoreFull
from video_platform.events import Message
from video_platform.services.event_log import murmur2
from video_platform.services.sqlite_log import SqliteLog

ROOT = Path(__file__).parents[2]
START = """
import sys
from pathlib import Path
from video_platform.events import Message
from video_platform.services.sqlite_log import SqliteLog
"""


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "home" / "events.db"


def child(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", START + code, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_every_commit_waits_for_the_disk(path):
    log = SqliteLog(path)
    log.create_topics(["t"])
    log.append("t", [Message(b"k", b"v")])
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    log.close()


def test_many_processes_may_open_a_new_file_at_once(path):
    code = "log = SqliteLog(Path(sys.argv[1])); print(len(log.create_topics(['a', 'b']))); log.append('a', [Message(b'k', b'v')]); log.close()"
    children = [child(code, path) for _ in range(4)]
    made = [int(each.communicate(timeout=120)[0]) for each in children]
    assert [each.returncode for each in children] == [0] * 4
    assert sum(made) == 2
    log = SqliteLog(path)
    assert sum(log.end_offsets("a").values()) == 4
    log.close()


def test_a_log_locked_for_too_long_is_unavailable_but_can_be_read(path):
    log = SqliteLog(path, busy_s=0.2)
    log.create_topics(["t"])
    log.append("t", [Message(b"k", b"v")])
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    with pytest.raises(LogUnavailable, match="locked by another process"):
        log.append("t", [Message(b"k", b"v")])
    assert time.monotonic() - started < 5
    assert len(log.read("t", {}, limit=10, budget_s=1)) == 1
    holder.execute("ROLLBACK")
    holder.close()
    assert log.append("t", [Message(b"k", b"v")])[0][1] == 1
    log.close()


@pytest.mark.parametrize("content", [b"this is no database, but it is long enough to look like one. " * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_log_is_said_and_left_alone(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(LogUnavailable, match="move it away"):
        SqliteLog(path).topics()
    assert path.read_bytes() == content


def test_a_log_of_a_newer_program_is_refused(path):
    log = SqliteLog(path)
    log.create_topics(["t"])
    log.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LogUnavailable, match="format 99"):
        SqliteLog(path).topics()


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LogUnavailable, match="cannot be made"):
        SqliteLog(tmp_path / "file" / "events.db").topics()


def test_a_forked_process_uses_a_connection_of_its_own(path):
    log = SqliteLog(path)
    log.create_topics(["t"])
    log.append("t", [Message(b"k", b"parent")])
    pid = os.fork()
    if pid == 0:
        try:
            log.append("t", [Message(b"k", b"child")])
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    log.append("t", [Message(b"k", b"parent again")])
    assert [record.message.value for record in log.read("t", {}, limit=10, budget_s=1)] == [b"parent", b"child", b"parent again"]
    log.close()


def test_an_append_is_all_or_nothing_when_its_process_dies_in_it(path):
    code = """
import os, threading
log = SqliteLog(Path(sys.argv[1])); log.create_topics(["t"])
messages = [Message(b"k", b"x" * 2_000)] * 5_000
threading.Timer(float(sys.argv[2]), lambda: os.kill(os.getpid(), 9)).start()
while True: log.append("t", messages)
"""
    for moment_s in (0.02, 0.07, 0.15, 0.21, 0.33):
        child(code, path, moment_s).communicate(timeout=60)
        log = SqliteLog(path)
        stored = sum(log.end_offsets("t").values())
        assert stored % 5_000 == 0
        assert len(log.read("t", {}, limit=100_000, budget_s=20)) == stored
        log.close()


FULL = """
log = SqliteLog(Path(sys.argv[1])); log.create_topics(["t"])
from video_platform.errors import StoreFull
filler = Path(sys.argv[1]).with_name("filler"); filler.write_bytes(b"x" * 500_000)
stored = 0
try:
    while True:
        log.append("t", [Message(b"k", b"x" * 50_000)]); stored += 1
except StoreFull as error:
    print(stored, sum(log.end_offsets("t").values()), len(log.read("t", {}, limit=1000, budget_s=5)), error.message)
filler.unlink()
print(log.append("t", [Message(b"k", b"room again")])[0][1])
"""


def test_a_full_disk_is_said_and_what_was_stored_stays(small_disk):
    mounted, small = small_disk
    start = "import sys\nfrom pathlib import Path\nfrom video_platform.events import Message\nfrom video_platform.services.sqlite_log import SqliteLog\n"
    done = subprocess.run(
        [*mounted, sys.executable, "-c", start + FULL, str(small / "events.db")], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    stored, end, readable, *message = first.split(" ", 3)
    assert stored == end == readable
    assert int(stored) > 5
    assert message[0].startswith("no space is left for the event log")
    assert second == stored
    assert StoreFull.retriable is False


def test_murmur2_is_kafkas():
    """Values of Kafka's own UtilsTest.testMurmur2."""
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536, b"a-little-bit-longer-string": -1486304829}
    known |= {b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, b"abc": 479470107}
    assert {key: murmur2(key) for key in known} == {key: value & 0xFFFFFFFF for key, value in known.items()}
