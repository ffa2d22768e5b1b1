"""Adds the indexes of the list of the whole town's cases."""

from alembic import op

revision = "0023"
down_revision = "0022"

_ORDER = "received_at desc, conversation_id desc"


def upgrade() -> None:
    op.execute(f"create index case_of_town on desk.case_file (state, {_ORDER})")
    op.execute(f"create index case_received on desk.case_file (department, state, {_ORDER})")


def downgrade() -> None:
    op.execute("drop index desk.case_received")
    op.execute("drop index desk.case_of_town")
