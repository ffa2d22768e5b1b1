"""Records which contacts have files whose form was not sent yet, so that a sweep can delete them."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.execute("create table ingest_web.unsent_form (contact_id uuid primary key, stored_at timestamptz not null)")
    op.execute("create index unsent_form_age on ingest_web.unsent_form (stored_at)")


def downgrade() -> None:
    op.execute("drop table ingest_web.unsent_form")
