"""Adds the index by which those who work in a department are found."""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.execute("create index role_grant_department on desk.role_grant (department) where revoked_at is null")


def downgrade() -> None:
    op.execute("drop index desk.role_grant_department")
