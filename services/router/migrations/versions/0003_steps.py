"""Splits and links beside transfers; what is known of a contact beside its routing, for the history of its conversation."""

from alembic import op

revision = "0003"
down_revision = "0001"

STATEMENTS = (
    "alter table router.decision drop constraint if exists decision_kind_check",
    """
    alter table router.decision add constraint decision_kind_check
    check (kind in ('contact', 'transfer', 'split', 'opened', 'linked', 'unlinked', 'refusal'))
    """,
    "alter table router.decision add column came text",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
