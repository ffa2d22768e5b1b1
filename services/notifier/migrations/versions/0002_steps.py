"""Steps of a reply from channel to channel, sends that are counted, the town's hourly budget, and what may be asked of all that."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    "alter table notifier.delivery add column step integer not null default 1",
    "alter table notifier.delivery add column why text not null default ''",
    "alter table notifier.delivery add column moves_to text",
    "alter table notifier.delivery add column sends integer not null default 0",
    "alter table notifier.delivery add column asked_at timestamptz",
    """
    create index delivery_open_to on notifier.delivery (address_hash, id)
    where state in ('planned', 'reserved') and address_hash <> ''
    """,
    "create index delivery_accepted on notifier.delivery (provider, asked_at) where state = 'accepted'",
    "create index delivery_provider_id on notifier.delivery (provider_id) where provider_id is not null",
    # Locks need no rows; a reply is read as a whole, so its text is kept as it came.
    "drop table notifier.address",
    "alter table notifier.reply alter column request type json using request::text::json",
    "create index reply_of_conversation on notifier.reply (conversation_id)",
    "create table notifier.tally (minute timestamptz primary key, automatic integer not null)",
    # What was sent of each reply, and what the log allows: one, one more for each logged resend, one for each logged move.
    """
    create view notifier.sends as
    select reply_id,
           sum(sends)::integer as sends,
           (1 + count(resent_at) + count(*) filter (where moves_to is not null and sends > 0))::integer as allowed,
           max(changed_at) as changed_at
    from notifier.delivery group by reply_id
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
