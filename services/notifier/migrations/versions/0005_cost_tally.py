"""Adds the automatic SMS and letters to the tally of each minute, for the budgets of a day."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.execute(
        "alter table notifier.tally add column sms integer not null default 0, add column letters integer not null default 0"
    )


def downgrade() -> None:
    op.execute("alter table notifier.tally drop column sms, drop column letters")
