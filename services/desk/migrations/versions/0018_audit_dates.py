"""Adds the index by which auditors find the entries of a day."""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.execute("create index audit_at on desk.audit_entry (at, number)")


def downgrade() -> None:
    op.execute("drop index desk.audit_at")
