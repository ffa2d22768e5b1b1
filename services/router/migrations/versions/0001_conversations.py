"""Conversations, their references and senders, the decisions, and the consumer's brake."""

from alembic import op

from parvis.common.bus.dead_letters import create_halt

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    create table router.conversation (
        id uuid primary key,
        reference text not null,
        department text not null,
        sequence integer not null,
        procedure text,
        opened_at timestamptz not null,
        last_contact_at timestamptz not null,
        closed_at timestamptz,
        case_updated_at timestamptz
    )
    """,
    """
    create table router.alias (
        reference text primary key,
        conversation_id uuid not null,
        contact_id uuid not null
    )
    """,
    """
    create table router.sender (
        contact_point_hash text not null,
        channel text not null,
        conversation_id uuid not null,
        last_contact_at timestamptz not null,
        primary key (contact_point_hash, channel, conversation_id)
    )
    """,
    """
    create table router.decision (
        id uuid primary key,
        kind text not null check (kind in ('contact', 'transfer', 'refusal')),
        conversation_id uuid,
        sequence integer,
        opens boolean not null,
        value text not null,
        decided_at timestamptz not null,
        constraint one_step_a_number unique (conversation_id, sequence),
        constraint refused_takes_no_number check ((kind = 'refusal') = (sequence is null))
    )
    """,
)


def upgrade() -> None:
    for statement in (*STATEMENTS, create_halt("router").rstrip().rstrip(";")):
        op.execute(statement)
