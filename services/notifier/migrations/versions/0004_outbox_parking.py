"""Adds when and why a row of the outbox was parked."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("alter table notifier.outbox add column parked_at timestamptz, add column parked_reason text")
    op.execute("drop index notifier.outbox_waiting")
    op.execute("create index outbox_waiting on notifier.outbox (id) where sent_at is null and parked_at is null")


def downgrade() -> None:
    op.execute("drop index notifier.outbox_waiting")
    op.execute("alter table notifier.outbox drop column parked_at, drop column parked_reason")
    op.execute("create index outbox_waiting on notifier.outbox (id) where sent_at is null")
