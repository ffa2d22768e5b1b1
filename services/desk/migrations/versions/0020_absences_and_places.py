"""Adds who is absent until when and who stands in, and the place that a case reports."""

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
    "alter table desk.case_file add column place text, add column latitude double precision, add column longitude double precision",
    "create index case_place on desk.case_file (department, place) where place is not null and state <> 'closed'",
    "create index case_point on desk.case_file (department, latitude) where latitude is not null and state <> 'closed'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop index desk.case_point")
    op.execute("drop index desk.case_place")
    op.execute("alter table desk.case_file drop column place, drop column latitude, drop column longitude")
    op.execute("drop table desk.absence")
