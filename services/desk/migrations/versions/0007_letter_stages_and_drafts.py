"""Adds how far a letter has come, the agents' drafts, and what the receipt of a visit says."""

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
    "alter table desk.counter_contact add column to_department text, add column case_reference text",
    "create index counter_contact_reference on desk.counter_contact (reference)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop index desk.counter_contact_reference")
    op.execute("alter table desk.counter_contact drop column to_department, drop column case_reference")
    op.execute("drop table desk.draft")
    op.execute("alter table desk.delivery drop column stage")
