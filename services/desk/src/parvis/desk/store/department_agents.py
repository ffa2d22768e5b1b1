"""Finds who works on the cases of a department: the accounts in force that may change them."""

from collections.abc import Collection
from datetime import datetime
from itertools import groupby

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.desk.decide.access_rights import ROLE_ACTIONS, may
from parvis.desk.models.accounts import EVERY_DEPARTMENT, CaseAccessFacts, DeskUser
from parvis.desk.schema.account_tables import account, role_grant
from parvis.desk.store.sessions import decode_grant, is_in_force

_ROLES = [role for role, actions in ROLE_ACTIONS.items() if "case.change" in actions]


async def read_agents(
    connection: AsyncConnection, scope: CaseAccessFacts, at: datetime, *, names: Collection[str] | None = None
) -> tuple[DeskUser, ...]:
    """Who may work on a case, or on those of a department, by name. `names` looks for these people only."""
    query = (
        select(role_grant, account.c.name)
        .join(account, account.c.account_id == role_grant.c.account_id)
        .where(account.c.kind != "program", account.c.disabled_at.is_(None), *is_in_force(at))
        .where(role_grant.c.role.in_(_ROLES), role_grant.c.department.in_((scope.department, EVERY_DEPARTMENT)))
        .order_by(account.c.name, account.c.account_id)
    )
    if names is not None:
        query = query.where(account.c.name.in_(list(names)))
    rows = (await connection.execute(query)).mappings().all()
    users = [
        DeskUser(account_id, name, tuple(map(decode_grant, grants)))
        for (account_id, name), grants in groupby(rows, lambda row: (row["account_id"], row["name"]))
    ]
    return tuple(user for user in users if may(user, "case.change", scope))


async def propose_names(connection: AsyncConnection, scope: CaseAccessFacts, at: datetime) -> tuple[str, ...]:
    """The names of those who may work on a case, or on those of a department, each once."""
    return tuple(dict.fromkeys(user.name for user in await read_agents(connection, scope, at)))
