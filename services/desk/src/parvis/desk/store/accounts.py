"""Stores accounts, their grants, and cases that were opened with a reason."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.models.accounts import AccountKind, DeskAccount, RoleGrant
from parvis.desk.schema.account_tables import account, break_glass, role_grant
from parvis.desk.schema.case_tables import case_file, contact
from parvis.desk.store.sessions import decode_grant


async def add_account(
    connection: AsyncConnection,
    account_id: str,
    name: str,
    kind: AccountKind,
    *,
    mail: str | None,
    at: datetime,
    by: str,
    quality: str = "",
) -> bool:
    """Store an account. Gives False if it is there already, or its mail address belongs to another."""
    values = {
        "account_id": account_id,
        "name": name,
        "quality": quality,
        "mail": mail,
        "kind": kind,
        "created_at": at,
        "created_by": by,
    }
    added = await connection.execute(
        insert(account).values(values).on_conflict_do_nothing().returning(account.c.account_id)
    )
    return added.first() is not None


async def add_grant(
    connection: AsyncConnection,
    account_id: str,
    grant: RoleGrant,
    *,
    at: datetime,
    by: str,
    deputy_of: str | None = None,
) -> None:
    """Store a grant; the same one again, by its id, changes nothing."""
    values: dict[str, Any] = {
        "grant_id": grant.grant_id or str(uuid.uuid4()),
        "account_id": account_id,
        "role": grant.role,
        "department": grant.department,
        "confidential": sorted(grant.confidential),
        "source": grant.source,
        "deputy_of": deputy_of,
        "granted_at": at,
        "granted_by": by,
        "expires_at": grant.expires_at,
        "revoked_by": "",
    }
    await connection.execute(insert(role_grant).values(values).on_conflict_do_nothing())


async def revoke_grant(connection: AsyncConnection, account_id: str, grant_id: str, *, at: datetime, by: str) -> bool:
    """Revoke one grant of an account. False if it has none with this id in force."""
    held = and_(
        role_grant.c.account_id == account_id, role_grant.c.grant_id == grant_id, role_grant.c.revoked_at.is_(None)
    )
    revoked = await connection.execute(update(role_grant).where(held).values(revoked_at=at, revoked_by=by))
    return revoked.rowcount == 1


async def revoke_grants_from(
    connection: AsyncConnection, account_id: str, source: str, *, at: datetime, by: str
) -> None:
    """Revoke all grants of an account that came from one source."""
    held = and_(role_grant.c.account_id == account_id, role_grant.c.source == source, role_grant.c.revoked_at.is_(None))
    await connection.execute(update(role_grant).where(held).values(revoked_at=at, revoked_by=by))


async def set_disabled(connection: AsyncConnection, account_id: str, at: datetime | None) -> bool:
    changed = await connection.execute(update(account).where(account.c.account_id == account_id).values(disabled_at=at))
    return changed.rowcount == 1


async def find_account(connection: AsyncConnection, account_id: str) -> DeskAccount | None:
    row = (await connection.execute(select(account).where(account.c.account_id == account_id))).mappings().one_or_none()
    return _account(dict(row), ()) if row else None


async def find_account_by_mail(connection: AsyncConnection, mail: str) -> DeskAccount | None:
    """The account with this mail address, in whatever case it is written."""
    query = select(account).where(func.lower(account.c.mail) == mail.lower(), account.c.kind != "development")
    row = (await connection.execute(query)).mappings().one_or_none()
    return _account(dict(row), ()) if row else None


async def list_accounts(connection: AsyncConnection, *, at: datetime, limit: int = 500) -> Sequence[DeskAccount]:
    """All accounts with their grants in force, by name."""
    rows = (
        (await connection.execute(select(account).order_by(account.c.name, account.c.account_id).limit(limit)))
        .mappings()
        .all()
    )
    in_force = and_(
        role_grant.c.account_id.in_([row["account_id"] for row in rows]),
        role_grant.c.revoked_at.is_(None),
        or_(role_grant.c.expires_at.is_(None), role_grant.c.expires_at > at),
    )
    grants: dict[str, list[RoleGrant]] = {}
    for row in (
        await connection.execute(select(role_grant).where(in_force).order_by(role_grant.c.granted_at))
    ).mappings():
        grants.setdefault(row["account_id"], []).append(decode_grant(row))
    return [_account(dict(row), tuple(grants.get(row["account_id"], ()))) for row in rows]


def _account(row: dict[str, Any], grants: tuple[RoleGrant, ...]) -> DeskAccount:
    return DeskAccount(
        account_id=row["account_id"], name=row["name"], mail=row["mail"], kind=row["kind"], created_at=row["created_at"],
        disabled_at=row["disabled_at"], grants=grants,
    )  # fmt: skip


async def read_case_facts(connection: AsyncConnection, conversation: str) -> tuple[str, str | None, list[str]] | None:
    """The department, procedure and tags of a case, also of one whose row is otherwise damaged. None if there is no such case."""
    query = select(case_file.c.department, case_file.c.procedure, case_file.c.tags)
    row = (await connection.execute(query.where(case_file.c.conversation_id == conversation))).one_or_none()
    return (row[0], row[1], row[2] or []) if row else None


async def find_case_by_reference(connection: AsyncConnection, reference: str) -> str | None:
    """The conversation with this reference, whichever department has it. None if there is none."""
    own = select(case_file.c.conversation_id).where(case_file.c.reference == reference)
    later = select(contact.c.conversation_id).where(contact.c.reference == reference)
    return await connection.scalar(own.union(later).limit(1))


async def open_with_reason(connection: AsyncConnection, values: dict[str, Any]) -> None:
    """Store that a case was opened with a reason. The columns are those of `break_glass`."""
    await connection.execute(
        insert(break_glass).values({"break_glass_id": str(uuid.uuid4()), "reviewed_by": ""} | values)
    )


async def list_break_glass(connection: AsyncConnection, limit: int = 200) -> Sequence[dict[str, Any]]:
    """The cases that were opened with a reason: those to be reviewed first, then the newest."""
    query = (
        select(break_glass, account.c.name, case_file.c.reference)
        .join(account, account.c.account_id == break_glass.c.account_id)
        .outerjoin(case_file, case_file.c.conversation_id == break_glass.c.conversation_id)
        .order_by(break_glass.c.reviewed_at.is_not(None), break_glass.c.opened_at.desc())
        .limit(limit)
    )
    return [dict(row) for row in (await connection.execute(query)).mappings()]


async def find_break_glass(connection: AsyncConnection, break_glass_id: str) -> dict[str, Any] | None:
    query = select(break_glass).where(break_glass.c.break_glass_id == break_glass_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    return dict(row) if row else None


async def mark_reviewed(connection: AsyncConnection, break_glass_id: str, *, at: datetime, by: str) -> None:
    entry = and_(break_glass.c.break_glass_id == break_glass_id, break_glass.c.reviewed_at.is_(None))
    await connection.execute(update(break_glass).where(entry).values(reviewed_at=at, reviewed_by=by))
