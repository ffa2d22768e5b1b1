"""Adds accounts, what they log in with, what they may do, their sessions, and cases that were opened with a reason."""

from alembic import op

revision = "0010"
down_revision = "0007"

STATEMENTS = (
    """
    create table desk.account (
        account_id uuid primary key,
        name text not null,
        quality text not null default '',
        mail text,
        kind text not null check (kind in ('development', 'local', 'oidc', 'program')),
        created_at timestamptz not null,
        created_by text not null default '',
        disabled_at timestamptz
    )
    """,
    "create unique index account_mail on desk.account (lower(mail)) where mail is not null",
    """
    create table desk.identity (
        issuer text not null,
        subject text not null,
        account_id uuid not null references desk.account,
        state text not null check (state in ('approved', 'pending', 'refused')),
        first_seen_at timestamptz not null,
        decided_at timestamptz,
        decided_by text not null default '',
        primary key (issuer, subject)
    )
    """,
    "create index identity_pending on desk.identity (first_seen_at) where state = 'pending'",
    """
    create table desk.role_grant (
        grant_id uuid primary key,
        account_id uuid not null references desk.account,
        role text not null,
        department text not null,
        confidential text[] not null default '{}',
        source text not null check (source in ('development', 'admin', 'claims', 'operator', 'deputy')),
        deputy_of uuid references desk.account,
        granted_at timestamptz not null,
        granted_by text not null,
        expires_at timestamptz,
        revoked_at timestamptz,
        revoked_by text not null default ''
    )
    """,
    "create index role_grant_account on desk.role_grant (account_id) where revoked_at is null",
    "create index role_grant_deputy on desk.role_grant (deputy_of) where revoked_at is null and deputy_of is not null",
    """
    create table desk.session (
        token_hash bytea primary key,
        session_id uuid not null unique,
        account_id uuid not null references desk.account,
        department text not null,
        created_at timestamptz not null,
        seen_at timestamptz not null,
        expires_at timestamptz not null,
        ended_at timestamptz,
        id_token text
    )
    """,
    "create index session_account on desk.session (account_id) where ended_at is null",
    "create index session_expiry on desk.session (expires_at)",
    """
    create table desk.login_state (
        state_hash bytea primary key,
        kind text not null,
        account_id uuid references desk.account,
        secret text not null,
        expires_at timestamptz not null
    )
    """,
    "create index login_state_expiry on desk.login_state (expires_at)",
    """
    create table desk.credential (
        credential_id bytea primary key,
        account_id uuid not null references desk.account,
        kind text not null check (kind in ('passkey', 'password', 'totp')),
        secret bytea not null,
        counter bigint not null default 0,
        failures integer not null default 0,
        blocked_until timestamptz,
        created_at timestamptz not null
    )
    """,
    "create index credential_account on desk.credential (account_id, kind)",
    """
    create table desk.break_glass (
        break_glass_id uuid primary key,
        account_id uuid not null references desk.account,
        conversation_id uuid not null,
        department text not null,
        reason text not null,
        opened_at timestamptz not null,
        expires_at timestamptz not null,
        reviewed_at timestamptz,
        reviewed_by text not null default ''
    )
    """,
    "create index break_glass_account on desk.break_glass (account_id, expires_at)",
    "create index break_glass_review on desk.break_glass (opened_at) where reviewed_at is null",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    for table in ("break_glass", "credential", "login_state", "session", "role_grant", "identity", "account"):
        op.execute(f"drop table desk.{table}")
