"""The ledger: replies, deliveries, preferences, the lock row of an address, the outbox and the consumer's brake."""

from alembic import op

from parvis.common.bus.dead_letters import create_halt
from parvis.common.storage.outbox import create_outbox

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
)


def upgrade() -> None:
    both = create_outbox("notifier") + create_halt("notifier")
    for statement in (*STATEMENTS, *filter(str.strip, both.split(";"))):
        op.execute(statement)
