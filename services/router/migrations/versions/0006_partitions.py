"""How many partitions of each topic are read, so that one that grows keeps the order of its keys."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute(
        """create table router.partition_count (
            topic text primary key,
            known integer not null,
            grown_to integer,
            noticed_at timestamptz,
            drain_to text,
            constraint grows_from_an_instant check ((grown_to is null) = (noticed_at is null))
        )"""
    )
