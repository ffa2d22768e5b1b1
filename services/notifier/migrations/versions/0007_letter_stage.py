"""Adds how far a letter has come: to print, handed over, posted, returned."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("alter table notifier.delivery add column stage text")
    # Letters that were written before are in a batch, or wait for one. Their state stays: the topic has the same.
    op.execute(
        """
        update notifier.delivery d set stage = case when b.closed_at is null then 'to-print' else 'handed-over' end
        from notifier.letter l left join notifier.batch b on b.name = l.batch
        where l.delivery_id = d.delivery_id and d.state in ('accepted', 'delivered')
        """
    )


def downgrade() -> None:
    op.execute("alter table notifier.delivery drop column stage")
