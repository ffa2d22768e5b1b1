"""How many partitions of each topic are read, so that one that grows keeps the order of its keys."""

from alembic import op

from parvis.common.bus.partition_growth import create_barrier

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.execute(create_barrier("router"))
