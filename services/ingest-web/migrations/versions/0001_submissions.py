"""Submissions, one row a one-time token, and the outbox."""

from alembic import op

from parvis.common.storage.outbox import create_outbox

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
        *create_outbox("ingest_web").split(";"),
    ):
        if statement.strip():
            op.execute(statement)


def downgrade() -> None:
    op.execute("drop table ingest_web.submission")
    op.execute("drop table ingest_web.outbox")
