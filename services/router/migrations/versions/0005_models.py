"""Models that were trained, and which of them decides: the last row of `activation`."""

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = (
    """
    create table router.model (
        version text primary key,
        blob text not null,
        sha256 text not null,
        size_bytes bigint not null,
        report text not null,
        trained_at timestamptz not null
    )
    """,
    """
    create table router.activation (
        id bigint generated always as identity primary key,
        version text references router.model (version),
        at timestamptz not null
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
