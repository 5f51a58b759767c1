"""What is asked of a deployment that runs, by the ways that people and programs have: the API, Dagster's GraphQL, and a command in a container."""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import httpx
from running import wait

from scripts.compose.stack import ROOT, Stack

CLIP = ROOT / "samples" / "crossing.mp4"
DEADLINE_S = 900
CHAOS = ROOT / "tests" / "chaos"
BOOKS = "/chaos"
"""Where the code server of a deployment under test has `tests/chaos`, which counts what came of the footage."""

ACCOUNT = """
import dataclasses, json, sys
import accounts, dagster
from video_platform.platform import open_platform
from video_platform.settings import load
with open_platform(load()) as platform, dagster.DagsterInstance.get() as instance:
    settled = accounts.settled(platform, instance, sys.argv[1:])
    print(json.dumps(dataclasses.asdict(accounts.account(platform, instance, sys.argv[1:], None)) if settled else None))
"""


def clip(number: int = 0) -> tuple[bytes, str]:
    """The sample clip and its id; with a number the same pictures in other bytes: a box that players skip is put behind them."""
    note = number.to_bytes(8, "big")
    content = CLIP.read_bytes() + ((8 + len(note)).to_bytes(4, "big") + b"free" + note if number else b"")
    return content, hashlib.sha256(content).hexdigest()[:16]


@dataclass(frozen=True)
class Deployment:
    """A stack that is up, and the seconds until each service was healthy."""

    stack: Stack
    healthy_s: dict[str, float]

    def api(self, path: str) -> Any:
        reply = httpx.get(f"{self.stack.url('web')}/api{path}", timeout=120)
        reply.raise_for_status()
        return reply.json()

    def health(self) -> dict[str, Any]:
        """What /api/healthz says, 503 included: on a busy machine a part may be late."""
        return httpx.get(f"{self.stack.url('web')}/api/healthz", timeout=120).json()

    def upload(self, number: int, camera: str = "demo") -> str:
        """Hand over a clip; its id."""
        content, video_id = clip(number)
        files = {"file": (f"{number}.mp4", content, "video/mp4")}
        reply = httpx.post(f"{self.stack.url('web')}/api/videos", files=files, data={"camera": camera}, timeout=300)
        assert reply.status_code in (200, 201, 202), reply.text
        return video_id

    def video(self, video_id: str) -> dict[str, Any]:
        """The video as the API lists it; empty for one that is not there."""
        return next((each for each in self.api("/videos")["items"] if each["video_id"] == video_id), {})

    def processed(self, video_id: str, seconds: float = DEADLINE_S) -> dict[str, Any]:
        """The video once it is ready, with its summary."""
        wait(lambda: self.video(video_id).get("state") in ("ready", "failed"), seconds, f"{video_id} is processed")
        assert self.video(video_id)["state"] == "ready", self.video(video_id)
        return self.api(f"/videos/{video_id}")

    def alerts(self, video_id: str) -> set[tuple[str, float]]:
        """What was raised for a video: rule and second."""
        return {(each["rule"], round(each["start_s"], 2)) for each in self.api(f"/alerts?video_id={video_id}")["items"]}

    def ask_dagster(self, query: str, service: str = "dagster", **variables: Any) -> dict[str, Any]:
        return httpx.post(f"{self.stack.url(service)}/graphql", json={"query": query, "variables": variables}, timeout=120).json()

    def runs(self, video_id: str, job: str = "process_video") -> list[dict[str, Any]]:
        """The runs of a job for a video, the newest first: runId, status and tags."""
        query = "query($f: RunsFilter) { runsOrError(filter: $f) { ... on Runs { results { runId status tags { key value } } } } }"
        answer = self.ask_dagster(query, f={"pipelineName": job, "tags": [{"key": "dagster/partition", "value": video_id}]})
        return [{**each, "tags": {tag["key"]: tag["value"] for tag in each["tags"]}} for each in answer["data"]["runsOrError"]["results"]]

    def account(self, video_ids: Collection[str]) -> dict[str, Any] | None:
        """What came of these videos, counted in the database, the store, the topics and Dagster's records; None while something is under way."""
        said = self.stack.execute("code-server", "env", f"PYTHONPATH={BOOKS}", "python3", "-c", ACCOUNT, *video_ids)
        return json.loads(said.splitlines()[-1])

    def file_of_output(self, video_id: str) -> str:
        """Under which name the newest run of a video has put what it wrote into the store."""
        query = "query($id: ID!) { runOrError(runId: $id) { ... on Run { eventConnection { events { ... on LogsCapturedEvent { fileKey } } } } } }"
        events = self.ask_dagster(query, id=self.runs(video_id)[0]["runId"])["data"]["runOrError"]["eventConnection"]["events"]
        return next(each["fileKey"] for each in events if each.get("fileKey"))

    def output_of_a_run(self, video_id: str, service: str = "dagster") -> str:
        """What the newest run of a video wrote on its error stream, as Dagster's page gets it from the store."""
        read = "query($key: [String!]!) { capturedLogs(logKey: $key) { stderr } }"
        key = [self.runs(video_id)[0]["runId"], "compute_logs", self.file_of_output(video_id)]
        return self.ask_dagster(read, service, key=key)["data"]["capturedLogs"]["stderr"]
