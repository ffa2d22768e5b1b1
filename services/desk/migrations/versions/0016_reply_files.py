"""Adds the files that agents attach to their answers, first to the draft and then to the reply."""

from alembic import op

revision = "0016"
down_revision = "0015"

STATEMENTS = (
    """
    create table desk.draft_file (
        file_id uuid primary key,
        conversation_id uuid not null,
        department text not null,
        agent text not null,
        file jsonb not null,
        added_at timestamptz not null
    )
    """,
    "create index draft_file_of_draft on desk.draft_file (conversation_id, department, agent)",
    "create index draft_file_by_age on desk.draft_file (added_at)",
    "alter table desk.reply add column files jsonb not null default '[]'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("alter table desk.reply drop column files")
    op.execute("drop table desk.draft_file")
