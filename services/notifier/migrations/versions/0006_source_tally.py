"""Counts segments instead of SMS, and what the automatic messages of each source cost, for the budgets of a day."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute("alter table notifier.tally add column segments integer not null default 0")
    op.execute("update notifier.tally set segments = sms * 3")
    op.execute("alter table notifier.tally drop column sms")
    op.execute(
        """
        create table notifier.source_tally (
            source text not null,
            hour timestamptz not null,
            segments integer not null,
            letters integer not null,
            primary key (source, hour)
        )
        """
    )
    op.execute("create index source_tally_of_hour on notifier.source_tally (hour)")


def downgrade() -> None:
    op.execute("drop table notifier.source_tally")
    op.execute("alter table notifier.tally add column sms integer not null default 0")
    op.execute("update notifier.tally set sms = segments / 3")
    op.execute("alter table notifier.tally drop column segments")
