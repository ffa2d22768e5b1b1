"""Lets the owner of an enrolment link choose what they log in with: a passkey, or a password and a one-time code."""

import asyncio
import base64

import segno
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.errors import Rejected
from parvis.common.town.models import localized
from parvis.desk.models.accounts import AuditRecord, DeskAccount
from parvis.desk.pages.dependencies import DeskDependencies, redirect
from parvis.desk.pages.local_login import remember_challenge
from parvis.desk.store import accounts as account_store
from parvis.desk.store import credentials, login_identities
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.verify.agent_sessions import hash_token
from parvis.desk.verify.passwords import (
    LONGEST_PASSWORD,
    SHORTEST_PASSWORD,
    hash_password,
    matching_step,
    totp_address,
)
from parvis.web.security_headers import allow_scripts


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The page behind a link, and its forms.

    Gives: 404 for a link that was used or expired; 422 for a short password or a wrong code; 303 to the login once it is stored.
    """
    router = APIRouter()
    if "local" not in dependencies.logins:
        return router

    @router.get("/enrol/{token}")
    async def show(request: Request, token: str) -> Response:
        return await _page(dependencies, request, token)

    @router.post("/enrol/{token}")
    async def with_password(request: Request, token: str) -> Response:
        form = await dependencies.read_own_form(request, None)
        secret, _ = await _link(dependencies, token)
        password, at = form.typed.get("password", [""])[0], dependencies.clock()
        step = matching_step(form.first("code"), secret, at, after=0)
        if step is None or not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            return await _page(dependencies, request, token, status=422)
        hashed = await asyncio.to_thread(hash_password, password)
        async with dependencies.access.database.transaction() as connection:
            account_id = await _use_link(dependencies, connection, token, "password and code")
            await credentials.set_credential(connection, account_id, "password", hashed, at)
            await credentials.set_credential(connection, account_id, "totp", secret.encode(), at)
            await credentials.mark_used(connection, f"totp:{account_id}".encode(), step)
        return redirect("/login?notice=enrolled")

    @router.get("/enrol/{token}/passkey")
    async def ask_passkey(_: Request, token: str) -> Response:
        account = (await _link(dependencies, token))[1]
        question, challenge = dependencies.passkeys.registration_question(
            account.account_id, account.mail or account.name
        )
        state = await remember_challenge(dependencies, challenge, "passkey-registration", account.account_id)
        return JSONResponse({"question": question, "state": state})

    @router.post("/enrol/{token}/passkey")
    async def with_passkey(request: Request, token: str) -> Response:
        form = await dependencies.read_own_form(request, None)
        return await _register_passkey(dependencies, token, form.first("answer"), form.first("state"))

    _ = show, with_password, ask_passkey, with_passkey
    return router


async def _link(dependencies: DeskDependencies, token: str) -> tuple[str, DeskAccount]:
    """The one-time-code secret and the account of a link. Raises: HTTPException 404."""
    async with dependencies.access.database.transaction() as connection:
        found = await login_identities.peek_login(connection, hash_token(token), "enrolment", dependencies.clock())
        account = await account_store.find_account(connection, found[1]) if found and found[1] else None
    if found is None or account is None or account.disabled_at:
        raise HTTPException(404)
    return found[0], account


async def _use_link(dependencies: DeskDependencies, connection: AsyncConnection, token: str, how: str) -> str:
    """Use the link up, and forget what its account logged in with before. Gives the account."""
    used = await login_identities.take_login(connection, hash_token(token), "enrolment", dependencies.clock())
    account = await account_store.find_account(connection, used[1]) if used and used[1] else None
    if account is None:
        raise HTTPException(404)
    await credentials.forget_credentials(connection, account.account_id)
    await append_audit(
        connection,
        AuditRecord(
            dependencies.clock(),
            account.account_id,
            account.name,
            "account.enrol",
            subject=account.account_id,
            detail=how,
        ),
    )
    return account.account_id


async def _page(dependencies: DeskDependencies, request: Request, token: str, status: int = 200) -> Response:
    secret, account = await _link(dependencies, token)
    town = localized(dependencies.town_config.town.name, None)
    address = totp_address(secret, account.mail or account.name, town)
    page = dependencies.render_page(
        request, "enrol.html", None, status=status, account=account, token=token, secret=secret, address=address,
        qr_code=segno.make(address).svg_inline(scale=4, border=2, svgclass=None, lineclass=None), is_wrong=status != 200,
        shortest=SHORTEST_PASSWORD,
    )  # fmt: skip
    page.headers.update(allow_scripts({}))
    return page


async def _register_passkey(dependencies: DeskDependencies, token: str, answer: str, state: str) -> Response:
    at = dependencies.clock()
    account = (await _link(dependencies, token))[1]
    async with dependencies.access.database.transaction() as connection:
        asked = await login_identities.take_login(connection, hash_token(state), "passkey-registration", at)
    if asked is None or asked[1] != account.account_id:
        raise HTTPException(403)
    try:
        passkey = dependencies.passkeys.register(answer, base64.b64decode(asked[0]))
    except Rejected:
        raise HTTPException(403) from None
    async with dependencies.access.database.transaction() as connection:
        await _use_link(dependencies, connection, token, "passkey")
        if not await credentials.add_passkey(
            connection, account.account_id, passkey.credential_id, passkey.public_key, passkey.counter, at
        ):
            raise HTTPException(403)
    return redirect("/login?notice=enrolled")
