"""The citizen's name, for the queue."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.execute("alter table desk.case_file add column citizen text not null default ''")


def downgrade() -> None:
    op.execute("alter table desk.case_file drop column citizen")
