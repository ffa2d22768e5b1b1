"""Scopes the idempotency keys of counter contacts to the department that uses them."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute("alter table desk.counter_contact drop constraint counter_contact_pkey")
    op.execute("alter table desk.counter_contact add primary key (department, seed)")


def downgrade() -> None:
    # Two departments may have used the same key since: the first contact keeps it.
    op.execute(
        """
        delete from desk.counter_contact later using desk.counter_contact earlier
        where later.seed = earlier.seed and (later.at, later.department) > (earlier.at, earlier.department)
        """
    )
    op.execute("alter table desk.counter_contact drop constraint counter_contact_pkey")
    op.execute("alter table desk.counter_contact add primary key (seed)")
