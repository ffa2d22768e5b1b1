"""One-time codes of the inbox; letters written for the print shop, and the batches they went in."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    """
    create table notifier.code (
        id bigint generated always as identity primary key,
        reply_id text not null,
        address_hash text not null,
        digest text not null,
        asked_at timestamptz not null,
        expires_at timestamptz not null,
        tries integer not null default 0,
        used_at timestamptz
    )
    """,
    "create index code_of_reply on notifier.code (reply_id, id)",
    "create index code_to on notifier.code (address_hash, asked_at)",
    """
    create table notifier.batch (
        name text primary key,
        made_at timestamptz not null,
        closed_at timestamptz
    )
    """,
    """
    create table notifier.letter (
        delivery_id text primary key,
        file_name text not null unique,
        sha256 text not null,
        size_bytes integer not null,
        pages integer not null,
        country text not null,
        reference text not null,
        written_at timestamptz not null,
        batch text references notifier.batch
    )
    """,
    "create index letter_waiting on notifier.letter (written_at) where batch is null",
    "create index letter_of_batch on notifier.letter (batch)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
