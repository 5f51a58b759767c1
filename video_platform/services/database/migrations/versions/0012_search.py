"""Passages that search finds."""

import sqlalchemy as sa
from alembic import op

from video_platform.services.database.columns import BigKey, Instant

revision = "0012"
down_revision = "0011"

SQLITE = (
    """CREATE VIRTUAL TABLE search_text USING fts5(
        text, content='search_documents', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2'
    )""",
    """CREATE TRIGGER search_text_added AFTER INSERT ON search_documents BEGIN
        INSERT INTO search_text (rowid, text) VALUES (new.id, new.text);
    END""",
    """CREATE TRIGGER search_text_removed AFTER DELETE ON search_documents BEGIN
        INSERT INTO search_text (search_text, rowid, text) VALUES ('delete', old.id, old.text);
    END""",
)
"""An index beside the table, which keeps the text once; the triggers are those of FTS5's manual (4.4.3, external content tables)."""

POSTGRESQL = (
    "ALTER TABLE search_documents ADD COLUMN search_text tsvector GENERATED ALWAYS AS (to_tsvector('english', text)) STORED",
    "CREATE INDEX ix_search_documents_search_text ON search_documents USING gin (search_text)",
)


def upgrade() -> None:
    """Passages, what of each video is found, and the full text of the database at hand."""
    op.create_table(
        "search_states",
        sa.Column("video_id", sa.String(length=16), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=True),
        sa.Column("passages", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(length=64), nullable=True),
        sa.Column("vectors", sa.LargeBinary(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["video_id"], ["videos.video_id"]),
        sa.PrimaryKeyConstraint("video_id"),
    )
    op.create_index("ix_search_states_changed_at", "search_states", ["changed_at"])
    op.create_table(
        "search_documents",
        sa.Column("id", BigKey, autoincrement=True, nullable=False),
        sa.Column("video_id", sa.String(length=16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("passage_id", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("start_s", sa.Float(), nullable=False),
        sa.Column("end_s", sa.Float(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("classes", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["video_id"], ["videos.video_id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("video_id", "position", name="uq_search_documents_video_id_position"),
    )
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)
