"""Makes each draft an account's: two people of one name have two. A draft of before goes to every account of its department with the
name of its agent, a file of before to the one that was there last; what has no such account stays under the name."""

from alembic import op

revision = "0022"
down_revision = "0021"

STATEMENTS = (
    """
    create temporary table namesake on commit drop as
    select distinct a.account_id, a.name, g.department
    from desk.account a join desk.role_grant g using (account_id) where a.kind <> 'program'
    """,
    "alter table desk.draft add column owner text",
    "alter table desk.draft_file add column owner text",
    "alter table desk.draft drop constraint draft_pkey",
    """
    insert into desk.draft (conversation_id, department, agent, owner, fields, saved_at)
    select distinct d.conversation_id, d.department, d.agent, n.account_id::text, d.fields, d.saved_at
    from desk.draft d join namesake n on n.name = d.agent and n.department in (d.department, '*')
    """,
    """
    delete from desk.draft d where owner is null and exists (
        select from desk.draft o where o.owner is not null
        and (o.conversation_id, o.department, o.agent) = (d.conversation_id, d.department, d.agent))
    """,
    "update desk.draft set owner = 'name:' || agent where owner is null",
    """
    update desk.draft_file f set owner = coalesce((
        select n.account_id::text from namesake n left join desk.session s using (account_id)
        where n.name = f.agent and n.department in (f.department, '*')
        group by n.account_id order by max(s.seen_at) desc nulls last, n.account_id limit 1), 'name:' || agent)
    """,
    "alter table desk.draft alter column owner set not null, add primary key (conversation_id, department, owner)",
    "alter table desk.draft_file alter column owner set not null",
    "drop index desk.draft_file_of_draft",
    "create index draft_file_of_draft on desk.draft_file (conversation_id, department, owner)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop index desk.draft_file_of_draft")
    op.execute("create index draft_file_of_draft on desk.draft_file (conversation_id, department, agent)")
    op.execute("alter table desk.draft_file drop column owner")
    op.execute("alter table desk.draft drop constraint draft_pkey")
    op.execute("""
        delete from desk.draft d using desk.draft o
        where (o.conversation_id, o.department, o.agent) = (d.conversation_id, d.department, d.agent)
        and (o.saved_at, o.owner) > (d.saved_at, d.owner)
    """)
    op.execute("alter table desk.draft drop column owner, add primary key (conversation_id, department, agent)")
