"""The API against requests made from its own OpenAPI document, right ones and wrong ones: no crash, and every answer is one that the document promises."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from seeded import ingest, process
from serving import Served, serving

CASES = 25
"""Requests per route in the phase that makes them up; the phase before it goes through all boundary values."""

SEED = 4
RUN_S = 280

COMMON = """
[checks.negative_data_rejection]
expected-statuses = [400, 403, 404, 405, 409, 410, 413, 415, 422]

[[operations]]
include-name = "POST /videos"
checks.negative_data_rejection.enabled = false

"""
"""How wrong requests may be refused: also as too large, and as one for a video that was deleted. In a form a number is a text like any other."""

LEFT_OUT = {
    "positive_data_acceptance": "a well-formed id, name or rules text can still be one that is not there or means nothing",
    "ensure_resource_availability": "footage taken in is random bytes, which may be deleted again by the next request",
}
"""Checks that do not fit here, and why."""


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("fuzz")
    with serving(folder) as served:
        record = ingest(served.platform, folder)
        process(served.platform, record, folder)
        yield served


def fuzz(served: Served, folder: Path, configuration: str, *arguments: str) -> None:
    """Run schemathesis against the server; what it found is in the message of the failure, with the request to repeat."""
    (folder / "schemathesis.toml").write_text(COMMON + configuration)
    program = [sys.executable, "-W", "ignore", "-m", "schemathesis.cli", "run", f"{served.url}/api/openapi.json"]
    told = ["--checks", "all", "--exclude-checks", ",".join(LEFT_OUT), "--max-examples", str(CASES), "--seed", str(SEED), "--continue-on-failure"]
    more = ["--max-response-time", "20", "--request-timeout", "30", "--generation-database", "none", "--warnings", "off", "--no-color", *arguments]
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(program + told + more, cwd=folder, env=environment, capture_output=True, text=True, timeout=RUN_S, check=False)
    said = "\n".join(line[:300] for line in (done.stdout + done.stderr).splitlines() if line.strip())
    assert done.returncode == 0, said[-20_000:]
    assert "No issues found" in done.stdout


def test_every_answer_about_what_is_there_is_one_that_the_document_promises(fuzzed, tmp_path):
    (video,) = fuzzed.client.get("/api/videos").json()["items"]
    alert = fuzzed.client.get("/api/alerts").json()["items"][0]
    configuration = f'[parameters]\n"path.video_id" = "{video["video_id"]}"\n"path.alert_id" = "{alert["id"]}"\n'
    fuzz(fuzzed, tmp_path, configuration, "--exclude-method", "DELETE", "--phases", "examples,coverage,fuzzing")


def test_every_answer_about_anything_is_one_that_the_document_promises(fuzzed, tmp_path):
    fuzz(fuzzed, tmp_path, "", "--phases", "examples,coverage,fuzzing,stateful")
