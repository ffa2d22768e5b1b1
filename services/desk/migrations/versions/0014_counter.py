"""Adds by what a caller is found, the calls that the telephone system reports, and the original of a visit for its receipt."""

from alembic import op

revision = "0014"
down_revision = "0013"

STATEMENTS = (
    """
    create table desk.caller (
        contact_id uuid primary key references desk.contact (contact_id) on delete cascade,
        terms tsvector not null
    )
    """,
    # Without a list of pending entries, which each look-up would have to read from end to end.
    "create index caller_terms on desk.caller using gin (terms) with (fastupdate = off)",
    """
    create table desk.incoming_call (
        call_id uuid primary key,
        department text not null,
        number text not null,
        at timestamptz not null
    )
    """,
    "create index incoming_call_of_department on desk.incoming_call (department, at)",
    "create index incoming_call_by_age on desk.incoming_call (at)",
    "alter table desk.counter_contact add column original jsonb",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("alter table desk.counter_contact drop column original")
    op.execute("drop table desk.incoming_call")
    op.execute("drop table desk.caller")
