"""Stores what accounts of the desk log in with: passwords, one-time codes and passkeys; a guesser is slowed down."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import and_, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.schema.account_tables import account, credential

_MOST_FAILURES = 5
_BLOCKED_FOR = timedelta(minutes=15)
CredentialKind = Literal["passkey", "password", "totp"]


@dataclass(frozen=True)
class StoredCredential:
    """One credential. `counter` is the passkey's, or the time step of the last one-time code."""

    credential_id: bytes
    account_id: str
    name: str
    secret: bytes
    counter: int


async def set_credential(
    connection: AsyncConnection, account_id: str, kind: CredentialKind, secret: bytes, at: datetime
) -> None:
    """Give an account a password or a one-time-code secret, instead of the one it had."""
    values = {
        "credential_id": f"{kind}:{account_id}".encode(), "account_id": account_id, "kind": kind, "secret": secret, "counter": 0,
        "failures": 0, "blocked_until": None, "created_at": at,
    }  # fmt: skip
    adding = insert(credential).values(values)
    await connection.execute(adding.on_conflict_do_update(index_elements=["credential_id"], set_=values))


async def add_passkey(
    connection: AsyncConnection, account_id: str, credential_id: bytes, public_key: bytes, counter: int, at: datetime
) -> bool:
    """Add a passkey to an account. False if the passkey is somebody's already."""
    values = {
        "credential_id": credential_id, "account_id": account_id, "kind": "passkey", "secret": public_key, "counter": counter,
        "failures": 0, "created_at": at,
    }  # fmt: skip
    added = insert(credential).values(values).on_conflict_do_nothing().returning(credential.c.account_id)
    return (await connection.execute(added)).first() is not None


async def find_credential(
    connection: AsyncConnection, *, mail: str, kind: CredentialKind, at: datetime
) -> StoredCredential | None:
    """The credential of the account with this mail address, locked. None also while it is blocked after wrong guesses."""
    return await _find(connection, and_(func.lower(account.c.mail) == mail.lower(), credential.c.kind == kind), at)


async def find_passkey(connection: AsyncConnection, credential_id: bytes, at: datetime) -> StoredCredential | None:
    """The passkey with this id, locked. None if there is none."""
    return await _find(
        connection, and_(credential.c.credential_id == credential_id, credential.c.kind == "passkey"), at
    )


async def _find(connection: AsyncConnection, wanted: object, at: datetime) -> StoredCredential | None:
    query = (
        select(credential, account.c.name)
        .join(account, account.c.account_id == credential.c.account_id)
        .where(wanted, account.c.disabled_at.is_(None), account.c.kind == "local")  # pyright: ignore[reportArgumentType]
        .where(func.coalesce(credential.c.blocked_until, at) <= at)
        .with_for_update(of=credential)
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        return None
    return StoredCredential(row["credential_id"], row["account_id"], row["name"], row["secret"], row["counter"])


async def mark_used(connection: AsyncConnection, credential_id: bytes, counter: int) -> None:
    used = {"counter": counter, "failures": 0, "blocked_until": None}
    await connection.execute(update(credential).where(credential.c.credential_id == credential_id).values(used))


async def count_failure(connection: AsyncConnection, account_id: str, at: datetime) -> None:
    """Count a wrong password or code; the fifth in a row blocks both for a quarter of an hour."""
    guessed = and_(credential.c.account_id == account_id, credential.c.kind.in_(["password", "totp"]))
    is_too_often = credential.c.failures + 1 >= _MOST_FAILURES
    await connection.execute(
        update(credential)
        .where(guessed)
        .values(
            failures=case((is_too_often, 0), else_=credential.c.failures + 1),
            blocked_until=case((is_too_often, at + _BLOCKED_FOR), else_=credential.c.blocked_until),
        )
    )


async def forget_credentials(connection: AsyncConnection, account_id: str) -> None:
    """Delete everything that an account logs in with, before it gets new credentials."""
    await connection.execute(delete(credential).where(credential.c.account_id == account_id))
