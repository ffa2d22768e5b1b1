"""Adds when and why a row of the outbox was parked."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute("alter table desk.outbox add column parked_at timestamptz, add column parked_reason text")
    op.execute("drop index desk.outbox_waiting")
    op.execute("create index outbox_waiting on desk.outbox (id) where sent_at is null and parked_at is null")


def downgrade() -> None:
    op.execute("drop index desk.outbox_waiting")
    op.execute("alter table desk.outbox drop column parked_at, drop column parked_reason")
    op.execute("create index outbox_waiting on desk.outbox (id) where sent_at is null")
