"""Adds what happened to each case of an act on several cases, and how the case was before: for its result page and its undoing."""

from alembic import op

revision = "0019"
down_revision = "0018"

STATEMENTS = (
    """
    create table desk.bulk_act (
        bulk_id uuid not null,
        conversation_id uuid not null,
        agent text not null,
        department text not null,
        kind text not null,
        outcome text not null,
        reply_id uuid,
        before jsonb,
        undone text,
        at timestamptz not null,
        primary key (bulk_id, conversation_id)
    )
    """,
    "create index bulk_act_age on desk.bulk_act (at)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop table desk.bulk_act")
