"""Adds the audit trail: rows are numbered and chained by hashes as they are inserted, and never changed or deleted."""

from alembic import op

revision = "0011"
down_revision = "0010"

STATEMENTS = (
    """
    create table desk.audit_entry (
        number bigint primary key,
        at timestamptz not null,
        account_id text not null,
        actor text not null,
        action text not null,
        department text not null,
        subject text not null,
        detail text not null,
        previous_hash bytea not null,
        hash bytea not null
    )
    """,
    "create index audit_subject on desk.audit_entry (subject, number)",
    "create index audit_account on desk.audit_entry (account_id, number)",
    "create index audit_action on desk.audit_entry (action, number)",
    # One transaction at a time appends: the lock is held until it commits, so numbers have no gap and the chain has no fork.
    """
    create function desk.chain_audit_entry() returns trigger language plpgsql as $$
    declare
        latest record;
        written text := '';
        field text;
    begin
        perform pg_advisory_xact_lock(1886351988);
        select number, hash into latest from desk.audit_entry order by number desc limit 1;
        new.number := coalesce(latest.number, 0) + 1;
        new.previous_hash := coalesce(latest.hash, ''::bytea);
        foreach field in array array[
            new.number::text, to_char(new.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), new.account_id,
            new.actor, new.action, new.department, new.subject, new.detail, encode(new.previous_hash, 'hex')
        ] loop
            written := written || octet_length(field) || ':' || field;
        end loop;
        new.hash := sha256(convert_to(written, 'UTF8'));
        return new;
    end $$
    """,
    "create trigger chain before insert on desk.audit_entry for each row execute function desk.chain_audit_entry()",
    """
    create function desk.refuse_audit_change() returns trigger language plpgsql as $$
    begin
        raise exception 'the audit trail is append-only';
    end $$
    """,
    """
    create trigger append_only before update or delete on desk.audit_entry
        for each row execute function desk.refuse_audit_change()
    """,
    """
    create trigger no_truncation before truncate on desk.audit_entry
        for each statement execute function desk.refuse_audit_change()
    """,
    "revoke update, delete, truncate on desk.audit_entry from public, current_user",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop table desk.audit_entry")
    op.execute("drop function desk.chain_audit_entry()")
    op.execute("drop function desk.refuse_audit_change()")
