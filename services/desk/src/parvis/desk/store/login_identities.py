"""Stores which identity of a provider belongs to which account, and what a browser has to bring back to finish a login."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import and_, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.schema.account_tables import account, identity, login_state

IdentityState = Literal["approved", "pending", "refused"]


async def find_identity(connection: AsyncConnection, issuer: str, subject: str) -> tuple[str, IdentityState] | None:
    """The account of an identity, and whether it is approved. None if nobody has come with it yet."""
    query = select(identity.c.account_id, identity.c.state)
    row = (
        await connection.execute(query.where(identity.c.issuer == issuer, identity.c.subject == subject))
    ).one_or_none()
    return (row[0], row[1]) if row else None


async def has_identity(connection: AsyncConnection, account_id: str, issuer: str) -> bool:
    """Whether an account has logged in with some identity of this issuer before."""
    query = select(identity.c.subject).where(
        identity.c.account_id == account_id, identity.c.issuer == issuer, identity.c.state == "approved"
    )
    return (await connection.execute(query.limit(1))).first() is not None


async def add_identity(
    connection: AsyncConnection, issuer: str, subject: str, account_id: str, state: IdentityState, at: datetime
) -> None:
    values = {"issuer": issuer, "subject": subject, "account_id": account_id, "state": state, "first_seen_at": at}
    await connection.execute(insert(identity).values(values | {"decided_by": ""}).on_conflict_do_nothing())


async def list_pending(connection: AsyncConnection, limit: int = 200) -> Sequence[dict[str, Any]]:
    """The identities that wait for a supervisor, oldest first, with the account that they would open."""
    query = (
        select(identity, account.c.name, account.c.mail)
        .join(account, account.c.account_id == identity.c.account_id)
        .where(identity.c.state == "pending")
        .order_by(identity.c.first_seen_at)
        .limit(limit)
    )
    return [dict(row) for row in (await connection.execute(query)).mappings()]


async def decide_identity(
    connection: AsyncConnection, issuer: str, subject: str, state: IdentityState, *, at: datetime, by: str
) -> str | None:
    """Approve or refuse an identity that waits. Gives its account; None if it does not wait."""
    waiting = and_(identity.c.issuer == issuer, identity.c.subject == subject, identity.c.state == "pending")
    decided = update(identity).where(waiting).values(state=state, decided_at=at, decided_by=by)
    return await connection.scalar(decided.returning(identity.c.account_id))


async def remember_login(
    connection: AsyncConnection,
    state_hash: bytes,
    kind: str,
    secret: str,
    *,
    at: datetime,
    expires_at: datetime,
    account_id: str | None = None,
) -> None:
    """Store what finishes a login, under the hash of what the browser brings back; forget those that expired."""
    await connection.execute(delete(login_state).where(login_state.c.expires_at < at))
    values = {"state_hash": state_hash, "kind": kind, "secret": secret, "expires_at": expires_at}
    await connection.execute(insert(login_state).values(values | {"account_id": account_id}))


async def take_login(
    connection: AsyncConnection, state_hash: bytes, kind: str, at: datetime
) -> tuple[str, str | None] | None:
    """What was stored and its account, once: whoever brings the same state again gets None."""
    taken = (
        delete(login_state)
        .where(login_state.c.state_hash == state_hash, login_state.c.kind == kind, login_state.c.expires_at > at)
        .returning(login_state.c.secret, login_state.c.account_id)
    )
    row = (await connection.execute(taken)).one_or_none()
    return (row[0], row[1]) if row else None


async def peek_login(
    connection: AsyncConnection, state_hash: bytes, kind: str, at: datetime
) -> tuple[str, str | None] | None:
    """What is stored and its account, without using it up."""
    query = select(login_state.c.secret, login_state.c.account_id).where(
        login_state.c.state_hash == state_hash, login_state.c.kind == kind, login_state.c.expires_at > at
    )
    row = (await connection.execute(query)).one_or_none()
    return (row[0], row[1]) if row else None
