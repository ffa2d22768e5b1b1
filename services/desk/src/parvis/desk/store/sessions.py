"""Stores sessions under the hash of their token, and reads with each request what their account may do now."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, RowMapping, and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.models.accounts import DeskUser, RoleGrant
from parvis.desk.schema.account_tables import account, break_glass, role_grant, session

_SEEN_EVERY_S = 60  # a request within it writes nothing


@dataclass(frozen=True)
class StoredSession:
    """A session in force, with its account's rights as they are now."""

    session_id: str
    department: str
    user: DeskUser
    id_token: str | None


async def begin_session(
    connection: AsyncConnection, token_hash: bytes, values: dict[str, object], *, at: datetime, expires_at: datetime
) -> None:
    """Store a new session. Shape: `values` has session_id, account_id, department, and id_token if there is one."""
    row = values | {"token_hash": token_hash, "created_at": at, "seen_at": at, "expires_at": expires_at}
    await connection.execute(insert(session).values(row))


async def find_session(
    connection: AsyncConnection, token_hash: bytes, *, at: datetime, idle_since: datetime | None, is_use: bool = True
) -> StoredSession | None:
    """The session with this token. None if it ended, expired, was idle for too long, or its account is disabled."""
    joined = (
        select(session, account.c.name, account.c.quality, account.c.mail, account.c.kind)
        .join(account, account.c.account_id == session.c.account_id)
        .where(
            session.c.token_hash == token_hash,
            session.c.ended_at.is_(None),
            session.c.expires_at > at,
            account.c.disabled_at.is_(None),
        )
    )
    if idle_since:
        joined = joined.where(session.c.seen_at > idle_since)
    row = (await connection.execute(joined)).mappings().one_or_none()
    if row is None:
        return None
    if is_use and (at - row["seen_at"]).total_seconds() > _SEEN_EVERY_S:
        await connection.execute(update(session).where(session.c.token_hash == token_hash).values(seen_at=at))
    user = DeskUser(
        account_id=row["account_id"],
        name=row["name"],
        mail=row["mail"] or "",
        quality=row["quality"],
        kind=row["kind"],
        grants=await read_grants(connection, row["account_id"], at=at),
        opened=await _opened_cases(connection, row["account_id"], at),
    )
    return StoredSession(row["session_id"], row["department"], user, row["id_token"])


async def read_grants(connection: AsyncConnection, account_id: str, *, at: datetime) -> tuple[RoleGrant, ...]:
    """The grants of an account that are in force."""
    query = select(role_grant).where(role_grant.c.account_id == account_id, *is_in_force(at))
    rows = (await connection.execute(query.order_by(role_grant.c.granted_at, role_grant.c.grant_id))).mappings()
    return tuple(decode_grant(row) for row in rows)


def is_in_force(at: datetime) -> list[ColumnElement[bool]]:
    """The conditions on `role_grant`. A deputy's grants last no longer than those of the person they stand in for."""
    table = role_grant
    own = table.alias("own")
    still_held = (
        select(own.c.grant_id)
        .where(
            own.c.account_id == table.c.deputy_of,
            own.c.revoked_at.is_(None),
            or_(own.c.expires_at.is_(None), own.c.expires_at > at),
            own.c.role == table.c.role,
            own.c.department == table.c.department,
            own.c.confidential.contains(table.c.confidential),
        )
        .exists()
    )
    represented = account.alias("represented")  # a query of accounts would else look for the deputy's own
    is_there = select(represented.c.account_id).where(
        represented.c.account_id == table.c.deputy_of, represented.c.disabled_at.is_(None)
    )
    return [
        table.c.revoked_at.is_(None),
        or_(table.c.expires_at.is_(None), table.c.expires_at > at),
        or_(table.c.deputy_of.is_(None), and_(still_held, is_there.exists())),
    ]


def decode_grant(row: RowMapping) -> RoleGrant:
    return RoleGrant(
        role=row["role"],
        department=row["department"],
        confidential=frozenset(row["confidential"]),
        grant_id=row["grant_id"],
        source=row["source"],
        expires_at=row["expires_at"],
    )


async def _opened_cases(connection: AsyncConnection, account_id: str, at: datetime) -> frozenset[str]:
    query = select(break_glass.c.conversation_id).where(
        break_glass.c.account_id == account_id, break_glass.c.expires_at > at
    )
    return frozenset(await connection.scalars(query))


async def end_session(connection: AsyncConnection, session_id: str, *, at: datetime) -> None:
    await connection.execute(update(session).where(session.c.session_id == session_id).values(ended_at=at))


async def end_sessions_of(connection: AsyncConnection, account_id: str, *, at: datetime) -> None:
    """End every session of an account, on every device."""
    held = and_(session.c.account_id == account_id, session.c.ended_at.is_(None))
    await connection.execute(update(session).where(held).values(ended_at=at))


async def choose_department(connection: AsyncConnection, session_id: str, department: str) -> None:
    await connection.execute(update(session).where(session.c.session_id == session_id).values(department=department))


async def purge_sessions(connection: AsyncConnection, *, before: datetime) -> None:
    """Delete the sessions that expired before an instant."""
    await connection.execute(delete(session).where(session.c.expires_at < before))
