"""Cases with what came and went on them, counter contacts, the outbox, the consumer's brake."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    create table desk.case_file (
        conversation_id uuid primary key,
        reference text not null,
        department text not null,
        department_sequence integer not null default 0,
        state text not null default 'open',
        taken_by text,
        procedure text,
        channel text not null default '',
        subject text not null default '',
        snippet text not null default '',
        urgency integer not null default 2,
        contacts integer not null default 0,
        received_at timestamptz not null,
        receipt_due_at timestamptz,
        answer_due_at timestamptz not null,
        undelivered boolean not null default false,
        changed_at timestamptz not null
    )
    """,
    "create index case_by_due on desk.case_file (department, state, urgency, answer_due_at, received_at, conversation_id)",
    "create index case_by_change on desk.case_file (department, state, changed_at desc, conversation_id desc)",
    "create index case_reference on desk.case_file (reference)",
    """
    create table desk.contact (
        contact_id uuid primary key,
        conversation_id uuid not null,
        sequence integer not null,
        reference text not null,
        at timestamptz not null,
        routed bytea not null
    )
    """,
    "create index contact_conversation on desk.contact (conversation_id, sequence)",
    "create index contact_reference on desk.contact (reference)",
    """
    create table desk.move (
        conversation_id uuid not null,
        sequence integer not null,
        from_department text not null,
        to_department text not null,
        reason text not null,
        at timestamptz not null,
        primary key (conversation_id, sequence)
    )
    """,
    """
    create table desk.reply (
        reply_id uuid primary key,
        conversation_id uuid not null,
        agent text not null,
        department text not null,
        channel text not null,
        address text not null,
        text text not null,
        at timestamptz not null
    )
    """,
    "create index reply_conversation on desk.reply (conversation_id)",
    """
    create table desk.delivery (
        delivery_id uuid primary key,
        reply_id uuid not null,
        conversation_id uuid not null,
        kind text not null,
        channel text not null,
        attempt integer not null,
        state text not null,
        failure_class text,
        detail text not null,
        at timestamptz not null
    )
    """,
    "create index delivery_conversation on desk.delivery (conversation_id)",
    """
    create table desk.transfer (
        transfer_id uuid primary key,
        conversation_id uuid not null,
        from_department text not null,
        to_department text not null,
        reason text not null,
        agent text not null,
        at timestamptz not null,
        outcome text not null default 'pending',
        why text
    )
    """,
    "create index transfer_conversation on desk.transfer (conversation_id)",
    """
    create table desk.act (
        act_id uuid primary key,
        conversation_id uuid not null,
        kind text not null,
        agent text not null,
        text text not null,
        at timestamptz not null
    )
    """,
    "create index act_conversation on desk.act (conversation_id)",
    """
    create table desk.counter_contact (
        seed uuid primary key,
        contact_id uuid not null,
        reference text not null,
        department text not null,
        agent text not null,
        at timestamptz not null
    )
    """,
    """create table desk.outbox (
        id bigint generated always as identity primary key,
        topic text not null,
        key bytea not null,
        headers jsonb not null,
        value bytea not null,
        written_at timestamptz not null default now(),
        sent_at timestamptz
    )""",
    "create index outbox_waiting on desk.outbox (id) where sent_at is null",
    """create table desk.consumer_halt (
        id bigint generated always as identity primary key,
        reason text not null,
        halted_at timestamptz not null default now(),
        resumed_at timestamptz
    )""",
)
TABLES = (
    "case_file",
    "contact",
    "move",
    "reply",
    "delivery",
    "transfer",
    "act",
    "counter_contact",
    "outbox",
    "consumer_halt",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.execute(f"drop table desk.{table}")
