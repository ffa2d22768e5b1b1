"""Creates the tables of hosted mailboxes: the position of each, and which mail became which contact."""

from alembic import op

revision = "0001"
down_revision = None

POSITION = """
    create table ingest_email.position (
        account text not null,
        folder text not null,
        uidvalidity bigint not null,
        last_uid bigint not null,
        advanced_at timestamptz not null default now(),
        primary key (account, folder)
    )
"""

PULLED = """
    create table ingest_email.pulled (
        account text not null,
        folder text not null,
        uidvalidity bigint not null,
        uid bigint not null,
        contact_id uuid not null,
        target text not null,
        pulled_at timestamptz not null default now(),
        put_away_at timestamptz,
        primary key (account, folder, uidvalidity, uid)
    )
"""


def upgrade() -> None:
    op.execute(POSITION)
    op.execute(PULLED)
    op.execute("create index pulled_contact on ingest_email.pulled (contact_id)")
    op.execute("create index pulled_left on ingest_email.pulled (account, folder) where put_away_at is null")


def downgrade() -> None:
    op.execute("drop table ingest_email.pulled")
    op.execute("drop table ingest_email.position")
