import os
import resource
import subprocess
import sys

import pytest

HEAVY = ("dagster", "streamlit", "sqlalchemy", "pydantic", "numpy", "cv2", "av", "onnxruntime", "torch", "kafka", "minio", "rich", "alembic", "fastapi")
HELP_SECONDS = 0.5

COMMANDS = [
    "process",
    "ingest",
    "watch",
    "up",
    "demo",
    "videos",
    "show",
    "get",
    "set",
    "delete",
    "retry",
    "alerts",
    "export",
    "rules",
    "topics",
    "doctor",
    "env",
]


def test_help_names_every_command_and_imports_nothing_heavy():
    code = "import sys; from video_platform import cli; status = cli.main(['--help']); print(status, *sorted(sys.modules), file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    status, *modules = run.stderr.split()
    assert status == "0"
    assert set(COMMANDS) <= set(run.stdout.split())
    assert not set(HEAVY) & set(modules)


def test_help_costs_little():
    """Processor time, because a busy machine is slow without any fault of ours."""
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", "from video_platform import cli; cli.main(['--help'])"], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < HELP_SECONDS


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["get"], "Missing argument 'VIDEO'"),
        (["get", "x", "--asset", "bogus"], "there is no asset 'bogus'; there are raw_video"),
        (["alerts", "--severity", "loud"], "a severity is info, warning, critical"),
        (["alerts", "--since", "yesterday"], "'yesterday' is not a time"),
        (["alerts", "--since", "99999999999w"], "longer ago than there is time"),
        (["videos", "--state", "asleep"], "a state is received, processing, ready, failed, deleted"),
        (["videos", "--text", "word " * 500], "at most 200 characters"),
        (["export", "x", "--format", "avi"], "a format is mot, coco, csv, jsonl"),
        (["ingest", "--lane", "fast", "x"], "a lane is live, request, backfill"),
        (["set", "x"], "--camera or --recorded-at"),
        (["get", "x", "--asset", "tracks", "--json"], "--json goes with --list"),
        (["get", "x", "--asset", "tracks", "--list", "-o", "y"], "leave --output and --file out"),
        (["digest", "--list", "2026-11-23"], "leave the day and --reel out"),
        (["digest", "--list", "--reel", "x.mp4"], "leave the day and --reel out"),
        (["digest", "--reel", "x.mp4", "--json"], "leave it or --json out"),
        (["dlq", "show", "video-events.dlq/0/0", "-o", "x", "--json"], "leave it or --json out"),
        (["up", "--role", "admin"], "the guest of --share"),
        (["up", "--camera", "gate-*"], "the guest of --share"),
        (["process", "0123456789abcdef", "--camera", "gate"], "`vp set` corrects"),
        (["process", "0123456789abcdef", "--recorded-at", "2026-11-23T08:30"], "`vp set` corrects"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(vp, arguments, told):
    ran = vp(*arguments)
    assert (ran.status, ran.out) == (2, "")
    assert told in ran.err
    assert len(ran.err.splitlines()) == 1


def test_an_error_is_one_line_without_traceback(vp):
    ran = vp("show", "0123456789abcdef")
    assert ran.status == 1
    assert ran.err.startswith("error: there is no video '0123456789abcdef'")
    assert len(ran.err.splitlines()) == 1


def test_debug_shows_where_an_error_came_from():
    run = subprocess.run(
        [sys.executable, "-c", "from video_platform import cli; cli.main(['--debug', 'show', 'x'])"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "Traceback" in run.stderr


def test_a_wrong_setting_is_named(vp, monkeypatch):
    monkeypatch.setenv("VIDEO_PLATFORM_WEB__PROT", "1")
    ran = vp("videos")
    assert ran.status == 1
    assert "VIDEO_PLATFORM_WEB__PROT" in ran.err


def test_hostile_arguments_do_not_act_on_the_terminal(vp):
    ran = vp("show", "\x1b]0;pwned\x07[red]")
    assert ran.status == 1
    assert "\x1b" not in ran.err
    assert "\x07" not in ran.err


def test_a_reader_that_leaves_is_no_error(filled, home):
    code = "import sys; from video_platform import cli; sys.exit(cli.main(['videos', '--json']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ})
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert errors == b""
