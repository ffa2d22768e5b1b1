"""Adds to an action the contact that it is about: the letter whose text an agent corrected."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.execute("alter table desk.act add column contact_id uuid")
    op.execute("create index act_of_contact on desk.act (contact_id) where contact_id is not null")


def downgrade() -> None:
    op.execute("drop index desk.act_of_contact")
    op.execute("alter table desk.act drop column contact_id")
