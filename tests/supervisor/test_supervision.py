import os
import signal

import psutil
import pytest

from video_platform.supervisor.processes import home_mark, marked

PROGRAM = """
import sys
from pathlib import Path
from video_platform.supervisor.service import Spec
from video_platform.supervisor.supervision import Supervision

home = Path(sys.argv[1])
python = sys.executable
# A service whose child has left its group and ignores being asked to end: the worst that a run can be.
PARENT = '''
import signal, subprocess, sys, time
{stubborn}
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"], start_new_session=True)
print("ready", child.pid, flush=True)
time.sleep(600)
'''
def spec(name, stubborn="", after=(), leaves_work=False):
    return Spec(name, name, [python, "-c", PARENT.replace("{stubborn}", stubborn)], lambda log: "ready" in log, after=after, leaves_work=leaves_work)

specs = [spec("first"), spec("second", after=("first",), leaves_work=True), spec("stubborn", "signal.signal(signal.SIGTERM, signal.SIG_IGN)")]
Supervision(specs, home=home, logs=home / "logs", say=lambda line: print(line, flush=True), on_ready=lambda: print("all ready", flush=True)).run()
print("ended", flush=True)
"""

CRASHING = """
import sys
from pathlib import Path
from video_platform.errors import StateError
from video_platform.supervisor.service import Spec
from video_platform.supervisor.supervision import Supervision
home = Path(sys.argv[1])
spec = Spec("bad", "the bad one", [sys.executable, "-c", "raise SystemExit('no such table')"], lambda log: False)
try:
    Supervision([spec], home=home, logs=home / "logs", say=print, on_ready=print).run()
except StateError as error:
    print("STATE", error, flush=True)
"""


def lines_until(process, text):
    seen = []
    for line in process.stdout:
        seen.append(line.rstrip("\n"))
        if text in line:
            return seen
    pytest.fail(f"{text!r} never came; got {seen}")


def alive(home):
    return marked(home_mark(home))


def test_services_start_in_order_and_all_is_announced_once(supervisor, tmp_path):
    seen = lines_until(supervisor(PROGRAM), "all ready")
    answered = [line.split()[0] for line in seen if "answers" in line]
    assert sorted(answered) == ["first", "second", "stubborn"]
    assert answered.index("first") < answered.index("second")
    assert len(alive(tmp_path)) == 6


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything_also_what_ignores_it(supervisor, tmp_path, number):
    process = supervisor(PROGRAM)
    lines_until(process, "all ready")
    process.send_signal(number)
    lines_until(process, "ended")
    assert process.wait(10) == 0
    assert alive(tmp_path) == []


def test_a_second_signal_ends_the_patience(supervisor, tmp_path, wait_for):
    process = supervisor(PROGRAM)
    lines_until(process, "all ready")
    process.send_signal(signal.SIGINT)
    wait_for(lambda: len(alive(tmp_path)) < 6, "the first services end")
    process.send_signal(signal.SIGINT)
    assert process.wait(4) == 0
    assert alive(tmp_path) == []


def test_a_killed_supervisor_leaves_nothing(supervisor, tmp_path, wait_for):
    process = supervisor(PROGRAM)
    lines_until(process, "all ready")
    process.kill()
    wait_for(lambda: not alive(tmp_path), "everything is gone")


def test_a_killed_service_comes_back_and_what_it_left_does_not_stay(supervisor, tmp_path, wait_for):
    process = supervisor(PROGRAM)
    seen = lines_until(process, "all ready")
    first = int(next(line for line in seen if line.startswith("first")).split("process ")[1].rstrip(")"))
    orphan = psutil.Process(first).children()[0]
    os.kill(first, signal.SIGKILL)
    assert "was ended by SIGKILL" in lines_until(process, "starts again")[-1]
    lines_until(process, "first answers")
    assert not orphan.is_running()
    assert len(alive(tmp_path)) == 6


def test_a_killed_service_whose_work_does_not_need_it_leaves_that_until_everything_ends(supervisor, tmp_path):
    process = supervisor(PROGRAM)
    seen = lines_until(process, "all ready")
    second = int(next(line for line in seen if line.startswith("second")).split("process ")[1].rstrip(")"))
    orphan = psutil.Process(second).children()[0]
    os.kill(second, signal.SIGKILL)
    lines_until(process, "second answers")
    assert orphan.is_running()
    assert len(alive(tmp_path)) == 7
    process.send_signal(signal.SIGINT)
    lines_until(process, "ended")
    assert process.wait(10) == 0
    assert alive(tmp_path) == []


def test_a_killed_supervisor_is_followed_by_one_that_starts_clean(supervisor, tmp_path):
    first = supervisor(PROGRAM)
    lines_until(first, "all ready")
    first.kill()
    lines_until(supervisor(PROGRAM), "all ready")
    assert len(alive(tmp_path)) == 6


def test_a_service_that_cannot_start_is_given_up_with_its_last_words(supervisor, tmp_path):
    process = supervisor(CRASHING)
    output = process.stdout.read()
    assert "STATE the bad one does not start" in output
    assert "no such table" in output
    assert process.wait(10) == 0
    assert alive(tmp_path) == []
