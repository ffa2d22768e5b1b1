"""Adds the search index: one row for each message, with its words, names, numbers and references as terms."""

from alembic import op

revision = "0012"
down_revision = "0011"

STATEMENTS = (
    """
    create table desk.search_entry (
        entry_id uuid primary key,
        conversation_id uuid not null,
        kind text not null,
        department text not null,
        sender text not null,
        at timestamptz not null,
        terms tsvector not null
    )
    """,
    # Without statistics the planner takes each term for rare, so that its plan does not change with the words of a query.
    "alter table desk.search_entry alter column terms set statistics 0",
    # Without a list of pending entries, which each query would have to read from end to end.
    "create index search_entry_terms on desk.search_entry using gin (terms) with (fastupdate = off)",
    "create index search_entry_conversation on desk.search_entry (conversation_id)",
    "create index search_entry_at on desk.search_entry (at)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop table desk.search_entry")
