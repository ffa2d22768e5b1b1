"""Splits and links beside transfers."""

from alembic import op

revision = "0003"
down_revision = "0001"

STATEMENTS = (
    "alter table router.decision drop constraint if exists decision_kind_check",
    """
    alter table router.decision add constraint decision_kind_check
    check (kind in ('contact', 'transfer', 'split', 'opened', 'linked', 'unlinked', 'refusal'))
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
