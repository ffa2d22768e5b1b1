"""Counts the automatic mails of each mailbox, whatever stands behind a plus in its address."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.execute("alter table notifier.source_tally add column mails integer not null default 0")


def downgrade() -> None:
    op.execute("alter table notifier.source_tally drop column mails")
