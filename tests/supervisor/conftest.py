import subprocess
import sys
import time

import pytest


def wait_for(condition, what, deadline_s=30.0):
    """Poll `condition` until it is true; fails the test with `what` after `deadline_s`."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    pytest.fail(f"not within {deadline_s} s: {what}")


@pytest.fixture(name="wait_for")
def _wait_for():
    return wait_for


@pytest.fixture
def supervisor(tmp_path):
    """Start a program that supervises services; it is ended with everything it started."""
    started = []

    def start(program):
        script = tmp_path / "program.py"
        script.write_text(program)
        process = subprocess.Popen([sys.executable, str(script), str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        return process

    yield start
    from video_platform.supervisor.processes import home_mark, sweep

    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
    sweep(home_mark(tmp_path))
