import os
import subprocess
import sys
import threading
from pathlib import Path

import dagster as dg
import psutil
import pytest
from services_fixtures import wait_for

from video_platform.errors import SettingsError
from video_platform.pipeline import instance
from video_platform.pipeline.sqlite_storage import OPEN_FILES, Storage
from video_platform.settings import Settings


@dg.job
def nothing():
    pass


@pytest.fixture
def settings(tmp_path):
    return Settings(home=tmp_path / "home")


@pytest.fixture
def opened(settings):
    with instance.open_instance(settings) as found:
        yield found


def told(opened, run_id):
    return [entry.message for entry in opened.all_logs(run_id)]


def say(opened, run, words):
    opened.report_engine_event(words, run)


def test_a_home_of_dagsters_own_storage_is_read_and_the_other_way_round(settings, tmp_path):
    folder = instance.write_instance(settings)
    plain = tmp_path / "plain.yaml"
    plain.write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.from_config(str(folder), config_filename=os.path.relpath(plain, folder)) as theirs:
        assert type(theirs.event_log_storage).__module__.startswith("dagster.")
        before = theirs.create_run_for_job(nothing)
        say(theirs, before, "theirs")
    with instance.open_instance(settings) as ours:
        assert type(ours.event_log_storage).__module__ == Storage.__module__
        assert "theirs" in told(ours, before.run_id)
        after = ours.create_run_for_job(nothing)
        say(ours, after, "ours")
    with dg.DagsterInstance.from_config(str(folder), config_filename=os.path.relpath(plain, folder)) as theirs:
        assert "ours" in told(theirs, after.run_id)
        assert {run.run_id for run in theirs.get_runs()} == {before.run_id, after.run_id}


def test_open_files_are_bounded(opened):
    runs = [opened.create_run_for_job(nothing) for _ in range(3 * OPEN_FILES)]
    for run in runs:
        say(opened, run, "a word")
    of_runs = {file.path for file in psutil.Process().open_files() if any(run.run_id in file.path for run in runs)}
    assert 0 < len({path.removesuffix("-wal").removesuffix("-shm") for path in of_runs}) <= OPEN_FILES
    assert all("a word" in told(opened, run.run_id) for run in runs)


def test_a_file_that_was_replaced_is_opened_again(opened):
    run = opened.create_run_for_job(nothing)
    say(opened, run, "before")
    opened.event_log_storage.delete_events(run.run_id)
    path = Path(opened.event_log_storage.path_for_shard(run.run_id))
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    say(opened, run, "after")
    assert told(opened, run.run_id) == ["after"]


def test_a_fork_does_not_use_the_connections_of_its_parent(opened):
    run = opened.create_run_for_job(nothing)
    say(opened, run, "parent")
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            say(opened, run, "child")
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    say(opened, run, "parent again")
    assert told(opened, run.run_id)[-3:] == ["parent", "child", "parent again"]


WRITER = """
import sys
from pathlib import Path
from video_platform.pipeline import instance
from video_platform.settings import Settings
with instance.open_instance(Settings(home=Path(sys.argv[1]))) as opened:
    run = opened.get_run_by_id(sys.argv[2])
    for number in range(int(sys.argv[3])):
        opened.report_engine_event(f"{sys.argv[4]} {number}", run)
"""


def writer(settings, run, count, name):
    return subprocess.Popen([sys.executable, "-c", WRITER, str(settings.home), run.run_id, str(count), name])


def test_processes_write_to_one_run_at_once(settings, opened):
    run = opened.create_run_for_job(nothing)
    writers = [writer(settings, run, 40, name) for name in ("a", "b", "c")]
    for number in range(40):
        say(opened, run, f"here {number}")
    assert [each.wait(120) for each in writers] == [0, 0, 0]
    found = told(opened, run.run_id)
    assert sorted(words for words in found if " " in words and words.split()[0] in {"a", "b", "c", "here"}) == sorted(
        f"{name} {number}" for name in ("a", "b", "c", "here") for number in range(40)
    )


def test_who_watches_a_run_hears_what_another_process_stores(settings, opened):
    run = opened.create_run_for_job(nothing)
    say(opened, run, "first")
    heard = []
    there = threading.Event()
    opened.event_log_storage.watch(run.run_id, None, lambda entry, _cursor: (heard.append(entry.message), there.set()))
    process = writer(settings, run, 3, "other")
    assert process.wait(120) == 0
    wait_for(lambda: "other 2" in heard, 30)
    assert heard.count("other 2") == 1


def test_what_a_killed_process_stored_is_there(settings, opened):
    run = opened.create_run_for_job(nothing)
    process = writer(settings, run, 100_000, "killed")
    wait_for(lambda: sum(words.startswith("killed") for words in told(opened, run.run_id)) > 5, 60)
    process.kill()
    process.wait(30)
    found = [words for words in told(opened, run.run_id) if words.startswith("killed")]
    assert found == [f"killed {number}" for number in range(len(found))]
    say(opened, run, "and on")
    assert told(opened, run.run_id)[-1] == "and on"


def test_a_home_that_was_moved_does_not_begin_anew_at_its_old_place(settings, tmp_path):
    folder = instance.write_instance(settings)
    settings.home.rename(tmp_path / "moved")
    with pytest.raises(SettingsError, match="moved"):
        dg.DagsterInstance.from_config(str(tmp_path / "moved" / folder.name))
    assert not settings.home.exists()
    with instance.open_instance(Settings(home=tmp_path / "moved")) as opened:
        assert opened.get_runs() == []
