"""Adds how far a letter has come, and the agents' drafts."""

from alembic import op

revision = "0007"
down_revision = "0006"

STATEMENTS = (
    "alter table desk.delivery add column stage text",
    """
    create table desk.draft (
        conversation_id uuid not null,
        department text not null,
        agent text not null,
        fields jsonb not null,
        saved_at timestamptz not null,
        primary key (conversation_id, department, agent)
    )
    """,
    "create index draft_by_age on desk.draft (saved_at)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop table desk.draft")
    op.execute("alter table desk.delivery drop column stage")
