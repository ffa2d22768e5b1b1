"""Adds `parvis desk user|program`: the first account, new enrolment links, and tokens of programs."""

import argparse
import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.cli.argparse_types import Commands, day_count, mail_address, not_blank
from parvis.common.contract.errors import Misconfigured
from parvis.common.runtime.clock import now
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.storage.postgres import Database
from parvis.common.town.loading import load_town_config
from parvis.desk.models.accounts import (
    CONFIDENTIALITIES,
    EVERY_DEPARTMENT,
    ROLES,
    AccountKind,
    AuditRecord,
    RoleGrant,
)
from parvis.desk.settings import Settings
from parvis.desk.store import accounts as account_store
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.store.login_identities import remember_login
from parvis.desk.store.sessions import begin_session, end_sessions_of
from parvis.desk.verify.agent_sessions import hash_token, new_token
from parvis.desk.verify.passwords import new_totp_secret

_LINK_LASTS = timedelta(hours=48)
_BY = "operator"


def register(actions: Commands) -> None:
    user = actions.add_parser("user", help="people").add_subparsers(metavar="ACTION", required=True)
    add = user.add_parser("add", help="add an account; prints a link that works once, for two days")
    add.add_argument("name", type=not_blank, metavar="NAME", help='"Camille Exemple"')
    add.add_argument("mail", type=mail_address, metavar="MAIL", help="camille@town.example")
    add.add_argument(
        "--oidc", action="store_true", help="an account that logs in at the identity provider: no link is needed"
    )
    add.add_argument("--quality", default="", help="function that answers give beside the name")
    _add_grant_arguments(add, role="administrator", department=EVERY_DEPARTMENT)
    add.set_defaults(run=_run(_add_user))
    reset = user.add_parser("reset", help="print a new link, by which other passkeys and passwords are replaced")
    reset.add_argument("mail", type=mail_address, metavar="MAIL")
    reset.set_defaults(run=_run(_reset_user))

    program = actions.add_parser("program", help="programs").add_subparsers(metavar="ACTION", required=True)
    add = program.add_parser("add", help="add a program; prints its token for the API, which is shown only now")
    add.add_argument("name", type=not_blank, metavar="NAME", help='"Telephone system"')
    add.add_argument("--days", type=day_count, default=365, help="days until its token expires")
    _add_grant_arguments(add, role="agent", department=None)
    add.set_defaults(run=_run(_add_program))


def _add_grant_arguments(parser: argparse.ArgumentParser, *, role: str, department: str | None) -> None:
    parser.add_argument("--role", choices=ROLES, default=role)
    parser.add_argument("--department", default=department, required=department is None, help="slug; * for all")
    parser.add_argument("--confidential", nargs="*", choices=CONFIDENTIALITIES, default=[])


@dataclass(frozen=True)
class CommandContext:
    """What a command works with."""

    connection: AsyncConnection
    public_url: str


Command: TypeAlias = Callable[[CommandContext, argparse.Namespace], Awaitable[str]]


def _run(command: Command) -> Callable[[argparse.Namespace], int]:
    def run(given: argparse.Namespace) -> int:
        print(asyncio.run(_in_transaction(command, given)))
        return 0

    return run


async def _in_transaction(command: Command, given: argparse.Namespace) -> str:
    town, settings = load_settings(SharedSettings), load_settings(Settings)
    department = getattr(given, "department", EVERY_DEPARTMENT)
    if department != EVERY_DEPARTMENT and department not in load_town_config(town.config_dir).departments:
        raise Misconfigured(f"there is no department {department!r}")
    database = Database(town.database_url.get_secret_value(), service="desk-command")
    try:
        async with database.transaction() as connection:
            return await command(CommandContext(connection, settings.public_url), given)
    finally:
        await database.close()


async def _add_user(context: CommandContext, given: argparse.Namespace) -> str:
    kind: AccountKind = "oidc" if given.oidc else "local"
    account_id = await _add_account(context, given, kind, given.mail)
    return "added; they log in at the identity provider" if given.oidc else await _make_link(context, account_id)


async def _reset_user(context: CommandContext, given: argparse.Namespace) -> str:
    account = await account_store.find_account_by_mail(context.connection, given.mail)
    if account is None or account.kind != "local":
        raise Misconfigured(f"no account of the desk has the address {given.mail}")
    await end_sessions_of(context.connection, account.account_id, at=now())
    await _record(context, "account.reset", account.account_id)
    return await _make_link(context, account.account_id)


async def _add_program(context: CommandContext, given: argparse.Namespace) -> str:
    account_id, token, at = await _add_account(context, given, "program", None), new_token(), now()
    values: dict[str, object] = {"session_id": str(uuid.uuid4()), "account_id": account_id, "department": ""}
    expires_at = at + timedelta(days=given.days)
    await begin_session(context.connection, hash_token(token), values, at=at, expires_at=expires_at)
    return token


async def _add_account(context: CommandContext, given: argparse.Namespace, kind: AccountKind, mail: str | None) -> str:
    account_id, at = str(uuid.uuid4()), now()
    if not await account_store.add_account(
        context.connection,
        account_id,
        given.name,
        kind,
        mail=mail,
        at=at,
        by=_BY,
        quality=getattr(given, "quality", ""),
    ):
        raise Misconfigured(f"the address {mail} has an account already")
    grant = RoleGrant(given.role, given.department, frozenset(given.confidential), source="operator")
    await account_store.add_grant(context.connection, account_id, grant, at=at, by=_BY)
    await _record(context, "account.add", account_id, f"{kind} {given.role} {given.department}")
    return account_id


async def _make_link(context: CommandContext, account_id: str) -> str:
    token, at = new_token(), now()
    await remember_login(
        context.connection, hash_token(token), "enrolment", new_totp_secret(), at=at, expires_at=at + _LINK_LASTS,
        account_id=account_id,
    )  # fmt: skip
    return f"{context.public_url}/enrol/{token}"


async def _record(context: CommandContext, action: str, account_id: str, detail: str = "") -> None:
    await append_audit(context.connection, AuditRecord(now(), "", _BY, action, "", account_id, detail))
