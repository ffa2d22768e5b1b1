"""Adds when and why a row of the outbox was parked."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("alter table ingest_web.outbox add column parked_at timestamptz, add column parked_reason text")
    op.execute("drop index ingest_web.outbox_waiting")
    op.execute("create index outbox_waiting on ingest_web.outbox (id) where sent_at is null and parked_at is null")


def downgrade() -> None:
    op.execute("drop index ingest_web.outbox_waiting")
    op.execute("alter table ingest_web.outbox drop column parked_at, drop column parked_reason")
    op.execute("create index outbox_waiting on ingest_web.outbox (id) where sent_at is null")
