"""Every table of the platform's own database; the migrations in `migrations/` make exactly these.

JSON columns hold plain JSON. Rows that belong to a video are removed with it, not by cascade: a tombstone stays in `videos`.
"""

import sqlalchemy as sa

from video_platform.services.database.columns import BigKey, Instant, RecordedAt

metadata = sa.MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s"})

videos = sa.Table(
    "videos",
    metadata,
    sa.Column("video_id", sa.String(16), primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("original_name", sa.String(255), nullable=False),
    sa.Column("camera", sa.String(64), nullable=False),
    sa.Column("recorded_at", RecordedAt),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("media_type", sa.String(128), nullable=False),
    sa.Column("object_key", sa.String(255), nullable=False),
    sa.Column("reference_path", sa.Text),
    sa.Column("reference_modified_ns", sa.BigInteger),
    sa.Column("lane", sa.String(16), nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("step", sa.String(64)),
    sa.Column("progress", sa.Float),
    sa.Column("run_id", sa.String(64)),
    sa.Column("failure_code", sa.String(64)),
    sa.Column("failure_message", sa.Text),
    sa.Column("summary_failure_code", sa.String(64)),
    sa.Column("summary_failure_message", sa.Text),
    sa.Column("duration_s", sa.Float),
    sa.Column("width", sa.Integer),
    sa.Column("height", sa.Integer),
    sa.Column("title", sa.Text),
    sa.Column("thumbnail", sa.String(255)),
    sa.Column("ingested_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("deleted_at", Instant),
    sa.Column("deleted_by", sa.String(128)),
    sa.Column("deleted_reason", sa.Text),
    sa.Column("objects_removed_at", Instant),
    sa.Column("kept_at", Instant),
    sa.Index(None, "ingested_at"),
    sa.Index(None, "state", "ingested_at"),
    sa.Index(None, "camera", "ingested_at"),
    sa.Index(None, "camera", "recorded_at"),
)
"""`kept_at` is the `updated_at` of the state whose copy lies among the objects; where they differ, the copy is out of date."""

evaluations = sa.Table(
    "evaluations",
    metadata,
    sa.Column("video_id", sa.String(16), sa.ForeignKey("videos.video_id"), primary_key=True),
    sa.Column("asset", sa.String(64), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("content_hash", sa.String(64), nullable=False),
    sa.Column("tracks_hash", sa.String(64), nullable=False),
    sa.Column("rules_version", sa.String(64), nullable=False),
    sa.Column("open_states", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("run_id", sa.String(64)),
    sa.Column("first_at", Instant, nullable=False),
    sa.Column("evaluated_at", Instant, nullable=False),
)
"""`open_states` is what the next video of the camera may go on with (`records.OpenState`)."""

alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("video_id", sa.String(16), sa.ForeignKey("videos.video_id"), nullable=False),
    sa.Column("asset", sa.String(64), nullable=False),
    sa.Column("camera", sa.String(64), nullable=False),
    sa.Column("rule", sa.String(255), nullable=False),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("severity", sa.String(16), nullable=False),
    sa.Column("lifecycle", sa.String(16), nullable=False),
    sa.Column("mark", sa.String(16), nullable=False),
    sa.Column("marked_by", sa.String(128)),
    sa.Column("marked_at", Instant),
    sa.Column("start_s", sa.Float, nullable=False),
    sa.Column("end_s", sa.Float, nullable=False),
    sa.Column("start_time", Instant),
    sa.Column("track_ids", sa.JSON, nullable=False),
    sa.Column("tracks_hash", sa.String(64), nullable=False),
    sa.Column("place_x", sa.Float),
    sa.Column("place_y", sa.Float),
    sa.Column("score", sa.Float),
    sa.Column("why", sa.JSON, nullable=False),
    sa.Column("rules_version", sa.String(64), nullable=False),
    sa.Column("snapshot", sa.String(255)),
    sa.Column("clip", sa.String(255)),
    sa.Column("superseded_reason", sa.Text),
    sa.Column("supersedes", sa.Integer, nullable=False),
    sa.Column("split_of", sa.String(36)),
    sa.Column("second_look", sa.JSON(none_as_null=True)),
    sa.Column("raised_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Index(None, "video_id", "asset", "rule"),
    sa.Index(None, "raised_at"),
    sa.Index(None, "revision"),
    sa.Index(None, "lifecycle", "raised_at"),
)
"""The ledger. `supersedes` counts how often an alert went from active to superseded; `revision` is the number of its last change, over all alerts.
`second_look` is a `records.SecondLook`."""

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("outbox_id", sa.String(64), nullable=False, unique=True),
    sa.Column("alert_id", sa.String(36), nullable=False),
    sa.Column("video_id", sa.String(16), nullable=False),
    sa.Column("channel", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("message_id", sa.String(36)),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("sent_at", Instant),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("error", sa.Text),
    sa.Index(None, "alert_id"),
    sa.Index(None, "video_id"),
    sa.Index(None, "channel", "sent_at"),
)
"""One row per alert and channel; rows that went out in one digest share their `message_id`."""

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("seq", BigKey, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(64), nullable=False, unique=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("topic", sa.String(128)),
    sa.Column("channel", sa.String(64)),
    sa.Column("key", sa.String(128), nullable=False),
    sa.Column("headers", sa.JSON, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("video_id", sa.String(16)),
    sa.Column("alert_id", sa.String(36)),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at", Instant, nullable=False),
    sa.Column("lease_owner", sa.String(128)),
    sa.Column("lease_until", Instant),
    sa.Column("sent_at", Instant),
    sa.Column("dead_at", Instant),
    sa.Column("error", sa.Text),
    sa.Column("not_before", Instant),
    sa.Index("ix_outbox_sent_at", "sent_at"),
    sa.Index("ix_outbox_video_id", "video_id"),
)
"""What has to leave. Rows of one `kind` and `key` leave in the order of `seq`; `not_before` is until when a notification waits for a second look."""

rule_sets = sa.Table(
    "rule_sets",
    metadata,
    sa.Column("id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("source", sa.String(1024), nullable=False),
    sa.Column("who", sa.String(128), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("applied_at", Instant, nullable=False),
)
"""Versions of the rule set; the newest is active."""

refusals = sa.Table(
    "refusals",
    metadata,
    sa.Column("id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("camera", sa.String(64), nullable=False),
    sa.Column("code", sa.String(64), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Index(None, "at"),
)

replays = sa.Table(
    "replays",
    metadata,
    sa.Column("letter", sa.String(64), primary_key=True),
    sa.Column("topic", sa.String(128), nullable=False),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("from_offset", sa.BigInteger, nullable=False),
    sa.Column("offset", sa.BigInteger),
    sa.Column("who", sa.String(128), nullable=False),
    sa.Column("begun_at", Instant, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
)
"""Dead letters that were sent to their topic again: written before the message is appended, at or after `from_offset`; `offset` is where it lies."""

step_totals = sa.Table(
    "step_totals",
    metadata,
    sa.Column("asset", sa.String(64), primary_key=True),
    sa.Column("made", sa.BigInteger, nullable=False),
    sa.Column("reused", sa.BigInteger, nullable=False),
    sa.Column("wall_s", sa.Float, nullable=False),
    sa.Column("cpu_s", sa.Float, nullable=False),
    sa.Column("footage_s", sa.Float, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("buckets", sa.JSON, nullable=False),
)
"""What making each asset has taken since this database began; `buckets` counts by wall time, see `measures.BUCKETS_S`."""

heartbeats = sa.Table(
    "heartbeats",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("worker", sa.String(128), nullable=False),
    sa.Column("at", Instant, nullable=False),
)
"""When each process that has no port to be asked at was last alive."""

counters = sa.Table("counters", metadata, sa.Column("name", sa.String(32), primary_key=True), sa.Column("value", sa.BigInteger, nullable=False))
"""Numbers drawn inside a transaction, and row locks that put writers in order on PostgreSQL."""

users = sa.Table(
    "users",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(512), unique=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("cameras", sa.JSON(none_as_null=True)),
    sa.Column("password", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("signed_in_at", Instant),
)
"""People who may sign in. `kind`: local (password or link) or oidc, whose `subject` is issuer and subject of their provider; `password` is an Argon2 hash."""

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), sa.ForeignKey("users.name"), nullable=False),
    sa.Column("means", sa.String(16), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Index(None, "name"),
    sa.Index(None, "expires_at"),
)
"""Who is signed in; the browser holds the token of which `digest` is the SHA-256."""

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", sa.String(16), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("name", sa.String(64), sa.ForeignKey("users.name"), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant),
    sa.Index(None, "name"),
)
"""Tokens of programs, hashed like those of sessions."""

sign_in_links = sa.Table(
    "sign_in_links",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(64), sa.ForeignKey("users.name"), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Index(None, "name"),
)
"""Links that sign in once; a used one is gone."""

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("who", sa.String(128), nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(255), nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Index(None, "at"),
    sa.Index(None, "action", "id"),
)
"""Who did what, in the order in which it was done; rows are only added."""

model_pulls = sa.Table(
    "model_pulls",
    metadata,
    sa.Column("model", sa.String(255), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("completed_bytes", sa.BigInteger, nullable=False),
    sa.Column("total_bytes", sa.BigInteger, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)
"""Models that Ollama was asked to fetch, and how far they are."""

digests = sa.Table(
    "digests",
    metadata,
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("wanted", sa.String(64), nullable=False),
    sa.Column("made", sa.String(64)),
    sa.Column("videos", sa.Integer, nullable=False),
    sa.Column("changed_at", Instant, nullable=False),
    sa.Column("made_at", Instant),
)
"""Days on which anything was recorded: the fingerprint that their digest should have, and the one that it has."""

backfills = sa.Table(
    "backfills",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("cause", sa.String(32), nullable=False),
    sa.Column("lane", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("force", sa.String(64)),
    sa.Column("budget_s", sa.Float),
    sa.Column("who", sa.String(128), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Index(None, "state"),
    sa.Index(None, "created_at"),
)
"""What was asked for over the past; `force` names the asset that is made also where nothing changed."""

backfill_items = sa.Table(
    "backfill_items",
    metadata,
    sa.Column("backfill_id", sa.String(36), sa.ForeignKey("backfills.id"), primary_key=True),
    sa.Column("video_id", sa.String(16), primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("assets", sa.JSON, nullable=False),
    sa.Column("estimated_s", sa.Float, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("request_id", sa.String(36)),
    sa.Column("asked_at", Instant),
    sa.Column("ended_at", Instant),
    sa.Column("spent_s", sa.Float, nullable=False),
    sa.Column("made", sa.JSON, nullable=False),
    sa.Column("message", sa.Text),
    sa.Index("ix_backfill_items_state", "backfill_id", "state", "position"),
    sa.Index("ix_backfill_items_video_id", "video_id"),
)
"""One video of a backfill. `request_id` is that of the run that has it, or had it last; videos that share one are made in one run.

`attempt` counts what was asked for, `failures` what ended without a result.
"""

search_states = sa.Table(
    "search_states",
    metadata,
    sa.Column("video_id", sa.String(16), sa.ForeignKey("videos.video_id"), primary_key=True),
    sa.Column("content_hash", sa.String(64)),
    sa.Column("passages", sa.Integer, nullable=False),
    sa.Column("model", sa.String(64)),
    sa.Column("vectors", sa.LargeBinary),
    sa.Column("failure", sa.Text),
    sa.Column("changed_at", Instant, nullable=False),
    sa.Index(None, "changed_at"),
)
"""What of a video can be found. `content_hash` is that of its search_index, None where that never came to be; `failure` says why the last attempt did not.

`vectors` copies the file beside the video: float16, a row per passage, made by the sentence model with the digest `model`.
"""

search_documents = sa.Table(
    "search_documents",
    metadata,
    sa.Column("id", BigKey, primary_key=True, autoincrement=True),
    sa.Column("video_id", sa.String(16), sa.ForeignKey("videos.video_id"), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("passage_id", sa.String(64), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("start_s", sa.Float, nullable=False),
    sa.Column("end_s", sa.Float, nullable=False),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("classes", sa.Text, nullable=False),
    sa.UniqueConstraint("video_id", "position"),
)
"""Passages, in the order of their video's vectors; `classes` is a JSON list. Rows are added and removed, never changed: their full text follows by that.

The full text itself is each database's own (`schema.FULL_TEXT`): an FTS5 table on SQLite, a tsvector column with its index on PostgreSQL.
"""
