"""Conversations, their references and senders, the decisions, and the consumer's brake."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    create table router.conversation (
        id uuid primary key,
        opened_by uuid, -- the contact; none when a split made it
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
    # `nth` numbers a sender's conversations on a channel: who comes first takes 1, and of two at once only one can.
    """
    create table router.sender (
        contact_point_hash text not null,
        channel text not null,
        nth integer not null,
        conversation_id uuid not null,
        last_contact_at timestamptz not null,
        primary key (contact_point_hash, channel, nth)
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
        came text,
        constraint refused_takes_no_number check ((kind = 'refusal') = (sequence is null))
    )
    """,
    # A contact that opens its conversation is found by the conversation's row: most are such, and a random place in one
    # more index is what a stored decision costs most.
    "create unique index one_step_a_number on router.decision (conversation_id, sequence) where not opens",
    """
    create view router.step as
    select id, kind, conversation_id, sequence, opens, value, decided_at, came
    from router.decision where not opens
    union all
    select d.id, d.kind, c.id, d.sequence, d.opens, d.value, d.decided_at, d.came
    from router.conversation c join router.decision d on d.id = c.opened_by and d.opens
    """,
    """
    create table router.consumer_halt (
        id bigint generated always as identity primary key,
        reason text not null,
        halted_at timestamptz not null default now(),
        resumed_at timestamptz
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
