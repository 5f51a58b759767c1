"""Rules over what is seen and said, in homes with real footage: a model that sees, asked over HTTP of the fake Ollama, and transcripts written by hand."""

import hashlib
import json
import re
from datetime import UTC, datetime

import sqlalchemy as sa
from fake_ollama import MODEL, FakeOllama

from video_platform import events, layout
from video_platform.layout import DESCRIBED_ALERTS
from video_platform.pipeline.jobs import DESCRIBE_VIDEO
from video_platform.pipeline.made import read_manifest
from video_platform.records import FileEntry, Manifest, Transcript, Verdict
from video_platform.services.database import ledger
from video_platform.services.database.tables import outbox
from video_platform.settings import LanguageModelSettings

SEES = (
    'version: 1\nchannels: {ops: {url_env: OPS_URL}}\nrules:\n  - {name: drone, when: {sees: "a drone"}, cooldown: 0s, severity: critical, channels: [ops]}\n'
)
SEER = "seer:latest"
DIGEST = "5" * 64


def says(*seconds):
    """Answers yes to every question of a frame in one of these spans."""

    def reply(prompt):
        if "<question>" not in prompt:
            return json.dumps({"text": "A street."})  # it is asked for a caption
        at_s = float(re.search(r"frame at ([\d.]+) s", prompt)[1])
        return json.dumps({"answer": "yes" if any(begin <= at_s <= end for begin, end in seconds) else "no"})

    return reply


def seer(reply, **more):
    return FakeOllama(models={MODEL: "3" * 64, SEER: DIGEST}, capabilities={SEER: ["completion", "vision"]}, reply=reply, **more)


def with_eyes(graph, server):
    """A model that sees; summaries are not its business."""
    graph.settings = graph.settings.model_copy(update={"language_model": LanguageModelSettings(host=server.address, model="none", vision_model=SEER)})


def questions(server):
    """How many questions of rules were put; captions are asked for too."""
    return sum("<question>" in request["messages"][1]["content"] for request in server.requests)


def describe(graph, video_id, *assets, **more):
    return graph.run(video_id, list(assets) or [DESCRIBED_ALERTS], job=DESCRIBE_VIDEO, **more)


def stored(graph, video_id):
    """`(manifest, what its file says)`."""
    with graph.platform() as platform:
        manifest = read_manifest(platform.store, video_id, DESCRIBED_ALERTS)
        return manifest, json.loads(platform.store.get_bytes(manifest.file("alerts").key))


def alerts(graph, video_id, **more):
    with graph.platform() as platform:
        return ledger.page(platform.db, video_id=video_id, asset=DESCRIBED_ALERTS, **more)[0]


def raised(graph, video_id):
    with graph.platform() as platform, platform.db.read() as connection:
        rows = connection.execute(sa.select(outbox).where(outbox.c.video_id == video_id, outbox.c.topic == events.TOPIC_ALERTS)).all()
    return sorted(row.id for row in rows if dict(row.headers)["ce_type"] == events.ALERT_RAISED)


def heard(graph, video_id, transcript: Transcript):
    """A transcript of the video, as the asset `transcript` keeps it."""
    body = transcript.model_dump_json().encode()
    sha256 = hashlib.sha256(body).hexdigest()
    key = layout.file_key(video_id, layout.TRANSCRIPT, sha256, "json")
    entry = FileEntry(role="transcript", key=key, size_bytes=len(body), sha256=sha256, media_type="application/json")
    manifest = Manifest(
        asset=layout.TRANSCRIPT,
        video_id=video_id,
        files=[entry],
        fingerprint=sha256,
        content_hash=sha256,
        code_version="1",
        verdict=Verdict(passed=True),
        created_at=datetime.now(UTC),
    )
    with graph.platform() as platform:
        platform.store.put_bytes(key, body, media_type="application/json")
        platform.store.put_bytes(layout.manifest_key(video_id, layout.TRANSCRIPT), manifest.model_dump_json().encode(), media_type="application/json")
