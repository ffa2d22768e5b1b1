"""Submissions, one row a one-time token, and the outbox."""

from alembic import op

revision = "0001"
down_revision = None

SUBMISSION = """
    create table ingest_web.submission (
        seed uuid primary key,
        contact_id uuid not null,
        reference text not null,
        procedure text not null,
        reply_channel text,
        content_hash text not null,
        received_at timestamptz not null
    )
"""


def upgrade() -> None:
    for statement in (
        SUBMISSION,
        "create index submission_reference on ingest_web.submission (reference)",
        """create table ingest_web.outbox (
        id bigint generated always as identity primary key,
        topic text not null,
        key bytea not null,
        headers jsonb not null,
        value bytea not null,
        written_at timestamptz not null default now(),
        sent_at timestamptz
    )""",
        "create index outbox_waiting on ingest_web.outbox (id) where sent_at is null",
    ):
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop table ingest_web.submission")
    op.execute("drop table ingest_web.outbox")
