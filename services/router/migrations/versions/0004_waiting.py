"""What waits for an answer or for its own trouble to pass; who was asked; the marks of mails; which closed conversation one follows."""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    """
    create table router.waiting (
        contact_id uuid primary key,
        number bigint generated always as identity,
        why text not null check (why in ('question', 'trouble', 'queued')),
        sender_hash text,
        channel text not null,
        topic text not null,
        partition integer not null,
        "offset" bigint not null,
        key bytea not null,
        headers text not null,
        value bytea not null,
        candidates uuid[] not null default '{}',
        question text,
        attempts integer not null default 0,
        reason text,
        due_at timestamptz,
        waits_since timestamptz not null,
        asked_at timestamptz,
        placed_at timestamptz,
        constraint only_who_queues_has_no_due_time check ((why = 'queued') = (due_at is null))
    )
    """,
    # One head a sender and channel: whoever comes later queues behind it, whichever router has it.
    """
    create unique index one_head on router.waiting (sender_hash, channel)
    where why <> 'queued' and placed_at is null and sender_hash is not null
    """,
    "create index waiting_of_sender on router.waiting (sender_hash, channel, number) where placed_at is null",
    "create index waiting_due on router.waiting (due_at) where placed_at is null and why <> 'queued'",
    "create index waiting_placed on router.waiting (number) where placed_at is not null",
    """
    create table router.question (
        sender_hash text not null,
        channel text not null,
        asked_at timestamptz not null,
        primary key (sender_hash, channel)
    )
    """,
    """
    create table router.mark (
        mark bytea not null,
        conversation_id uuid not null,
        seen_at timestamptz not null,
        primary key (mark, conversation_id)
    )
    """,
    "alter table router.conversation add column linked_to uuid",
    "create index follower_of on router.conversation (linked_to) where linked_to is not null",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
