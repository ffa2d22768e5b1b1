"""Adds the indexes of the queue's views, and the views that agents save."""

from alembic import op

revision = "0013"
down_revision = "0012"

_DUE = "urgency, answer_due_at, received_at, conversation_id"
STATEMENTS = (
    f"create index case_by_owner on desk.case_file (department, taken_by, {_DUE}) where state <> 'closed'",
    f"create index case_undelivered on desk.case_file (department, {_DUE}) where undelivered and state <> 'closed'",
    """
    create table desk.saved_view (
        agent text not null,
        department text not null,
        name text not null,
        query text not null,
        primary key (department, agent, name)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop table desk.saved_view")
    op.execute("drop index desk.case_undelivered")
    op.execute("drop index desk.case_by_owner")
