"""Adds the event of a contact without what was written, which is all that an action on a case reads."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("alter table desk.contact add column brief bytea")


def downgrade() -> None:
    op.execute("alter table desk.contact drop column brief")
