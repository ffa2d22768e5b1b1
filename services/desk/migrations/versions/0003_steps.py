"""Splits, links, where a split put a contact, what a transfer brought along; the later dates of a case, and its tags."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    """
    alter table desk.case_file
        add column escalate_at timestamptz not null default '9999-12-31T00:00:00Z',
        add column silence_at timestamptz,
        add column silence_means text,
        add column competent_at timestamptz,
        add column tags text[] not null default '{}'
    """,
    "create index case_tags on desk.case_file using gin (tags)",
    "alter table desk.move add column stopped jsonb, add column history jsonb",
    """
    create table desk.placement (
        contact_id uuid primary key,
        conversation_id uuid not null,
        sequence integer not null,
        at timestamptz not null
    )
    """,
    """
    create table desk.step (
        conversation_id uuid not null,
        sequence integer not null,
        kind text not null check (kind in ('split', 'opened', 'linked', 'unlinked')),
        other_conversation uuid not null,
        other_reference text not null,
        other_department text not null,
        contacts integer not null,
        reason text not null,
        at timestamptz not null,
        history jsonb,
        primary key (conversation_id, sequence)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
