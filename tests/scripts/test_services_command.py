"""The command that starts real servers, from a shell as people use it."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from scripts.services import KafkaServer, MinioServer, OllamaServer, PostgresServer, S3Server, ServiceFailed

ROOT = Path(__file__).parents[2]


def command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "scripts.services", *map(str, arguments)]
    return subprocess.run(argv, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False)


def test_start_check_stop(tmp_path):
    folder = tmp_path / "s3"
    try:
        started = command("s3", "start", "--folder", folder)
        assert started.returncode == 0, started.stderr
        names = [line.partition("=")[0] for line in started.stdout.splitlines()]
        assert names == [f"export VIDEO_PLATFORM_OBJECTS__{name}" for name in ("KIND", "ENDPOINT", "ACCESS_KEY", "SECRET_KEY")]
        assert (folder / "state.json").stat().st_mode & 0o077 == 0
        pid = int((folder / "seaweedfs.pid").read_text().split()[0])
        assert command("s3", "env", "--folder", folder).stdout == started.stdout
        checked = command("s3", "check", "--folder", folder)
        assert (checked.returncode, "answers" in checked.stdout) == (0, True)
        assert command("s3", "start", "--folder", folder).stdout == started.stdout
        assert int((folder / "seaweedfs.pid").read_text().split()[0]) == pid
    finally:
        stopped = command("s3", "stop", "--folder", folder)
    assert stopped.stderr == "s3: stopped\n"
    assert not psutil.pid_exists(pid)
    assert command("s3", "env", "--folder", folder).stderr == "s3: does not run\n"
    assert command("s3", "check", "--folder", folder).returncode == 1
    assert command("s3", "stop", "--folder", folder).stderr == "s3: was not running\n"


def test_a_pid_file_of_another_program_ends_nobody(tmp_path):
    (tmp_path / "seaweedfs.pid").write_text(f"{os.getpid()} 1.0")
    assert S3Server(tmp_path).running() is False
    assert S3Server(tmp_path).stop() is False


@pytest.mark.parametrize("server", [KafkaServer, MinioServer, OllamaServer, PostgresServer, S3Server])
def test_a_folder_without_a_server_says_so(tmp_path, server):
    with pytest.raises(ServiceFailed, match="was ever started in"):
        _ = server(tmp_path).environment


@pytest.mark.parametrize(
    ("service", "says"),
    [
        ("kafka", "apt-get install -y default-jre-headless maven"),
        ("minio", "a Go compiler (1.24 or newer)"),
        ("ollama", "Ollama needs gcc: scripts/install_servers.sh"),
    ],
)
def test_a_machine_that_lacks_what_a_server_needs_is_told_what_to_install(tmp_path, service, says):
    done = command(service, "fetch", PATH=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 1
    assert says in done.stderr


def test_what_cannot_be_fetched_does_not_keep_the_others_from_being_fetched(tmp_path):
    done = command("all", "fetch", PATH=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stderr.splitlines()][:2] == ["kafka", "minio"]
    assert done.stderr.splitlines()[-1].startswith("ollama: ")
