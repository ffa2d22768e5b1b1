"""Adds the claim under which one router publishes a waiting contact, so that nothing is sent while a row is locked."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("alter table router.waiting add column claimed_until timestamptz")
