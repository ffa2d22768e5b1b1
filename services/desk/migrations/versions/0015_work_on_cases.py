"""Adds what the work on a case keeps: answers that can be withdrawn until they are due, and cases that come back on a day."""

from alembic import op

revision = "0015"
down_revision = "0014"

STATEMENTS = (
    "alter table desk.outbox add column due_at timestamptz, add column event_id text",
    "create index outbox_delayed on desk.outbox (event_id) where event_id is not null and sent_at is null",
    "alter table desk.reply add column due_at timestamptz, add column withdrawn_at timestamptz, add column before jsonb",
    "create index reply_reserved on desk.reply (department, agent, due_at) where due_at is not null and withdrawn_at is null",
    "alter table desk.case_file add column snoozed_until timestamptz",
    "create index case_snoozed on desk.case_file (department, snoozed_until) where snoozed_until is not null",
    "create index case_colleague on desk.case_file (department, taken_by) where taken_by is not null",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop index desk.case_colleague")
    op.execute("alter table desk.case_file drop column snoozed_until")
    op.execute("drop index desk.reply_reserved")
    op.execute("alter table desk.reply drop column due_at, drop column withdrawn_at, drop column before")
    op.execute("drop index desk.outbox_delayed")
    op.execute("alter table desk.outbox drop column due_at, drop column event_id")
