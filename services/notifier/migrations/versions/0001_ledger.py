"""The ledger: replies, deliveries, preferences, the lock row of an address, the outbox and the consumer's brake."""

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = (
    """
    create table notifier.reply (
        reply_id text primary key,
        conversation_id text not null,
        kind text not null,
        request jsonb not null,
        recorded_at timestamptz not null
    )
    """,
    """
    create table notifier.delivery (
        id bigint generated always as identity primary key,
        delivery_id text not null unique,
        reply_id text not null references notifier.reply,
        conversation_id text not null,
        reference text not null,
        kind text not null,
        channel text not null,
        address text not null,
        address_hash text not null,
        state text not null check (state in
            ('planned', 'reserved', 'accepted', 'delivered', 'undelivered', 'failed', 'unknown', 'cancelled')),
        send_at timestamptz not null,
        attempt integer not null default 0,
        worker text,
        lease_until timestamptz,
        first_reserved_at timestamptz,
        reserved_at timestamptz,
        resent_at timestamptz,
        provider text,
        provider_id text,
        failure_class text,
        detail text not null default '',
        evidence jsonb,
        planned_at timestamptz not null,
        changed_at timestamptz not null,
        constraint reserved_has_a_lease check (state <> 'reserved' or (lease_until is not null and worker is not null))
    )
    """,
    "create index delivery_due on notifier.delivery (send_at, id) where state = 'planned'",
    "create index delivery_open on notifier.delivery (conversation_id, id) where state in ('planned', 'reserved')",
    "create index delivery_leased on notifier.delivery (lease_until) where state = 'reserved'",
    "create index delivery_unknown on notifier.delivery (changed_at) where state = 'unknown'",
    "create index delivery_sent_to on notifier.delivery (address_hash, reserved_at)",
    "create index delivery_of_reply on notifier.delivery (reply_id)",
    "create index delivery_once on notifier.delivery (conversation_id, kind)",
    "create table notifier.address (address_hash text primary key)",
    """
    create table notifier.preference (
        event_id text primary key,
        contact_point_hash text not null,
        event jsonb not null,
        changed_at timestamptz not null
    )
    """,
    "create index preference_of on notifier.preference (contact_point_hash, changed_at)",
    """
    create table notifier.outbox (
        id bigint generated always as identity primary key,
        topic text not null,
        key bytea not null,
        headers jsonb not null,
        value bytea not null,
        written_at timestamptz not null default now(),
        sent_at timestamptz
    )
    """,
    "create index outbox_waiting on notifier.outbox (id) where sent_at is null",
    """
    create table notifier.consumer_halt (
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
