"""Adds who is absent until when, and who stands in."""

from alembic import op

revision = "0020"
down_revision = "0019"

STATEMENTS = (
    """
    create table desk.absence (
        department text not null,
        agent text not null,
        absence_id uuid not null,
        begins_at timestamptz not null,
        until_at timestamptz not null,
        deputy text not null,
        noted_by text not null,
        primary key (department, agent)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop table desk.absence")
