"""Logs agents in with an account of the desk: a passkey, or a password together with a one-time code."""

import asyncio
import base64
from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from parvis.common.contract.errors import Rejected
from parvis.common.runtime.logs import logger
from parvis.desk.pages.dependencies import DeskDependencies
from parvis.desk.pages.login import logged_in, login_page
from parvis.desk.store import credentials, login_identities
from parvis.desk.store.credentials import StoredCredential
from parvis.desk.verify.agent_sessions import hash_token, new_token
from parvis.desk.verify.passkeys import RegisteredPasskey, credential_id_of
from parvis.desk.verify.passwords import LONGEST_PASSWORD, is_password, matching_step
from parvis.web.form_parsing import SubmittedForm

log = logger()
QUESTION_LASTS = timedelta(minutes=5)
_hashing = asyncio.Semaphore(2)  # one Argon2id takes 64 MiB


def routes(dependencies: DeskDependencies) -> APIRouter:
    """The forms of the login page.

    Gives: 303 with a session; 403 with one sentence for whatever was wrong, after the same time.
    """
    router = APIRouter()
    if "local" not in dependencies.logins:
        return router

    @router.post("/login/password")
    async def with_password(request: Request) -> Response:
        form = await dependencies.read_own_form(request, None)
        known = await _check_password(dependencies, form)
        return await _answer(dependencies, request, known, "password and code")

    @router.get("/login/passkey")
    async def ask_passkey(_: Request) -> Response:
        question, challenge = dependencies.passkeys.login_question()
        state = await remember_challenge(dependencies, challenge, "passkey-login")
        return JSONResponse({"question": question, "state": state})

    @router.post("/login/passkey")
    async def with_passkey(request: Request) -> Response:
        form = await dependencies.read_own_form(request, None)
        known = await _check_passkey(dependencies, form.first("answer"), form.first("state"))
        return await _answer(dependencies, request, known, "passkey")

    _ = with_password, ask_passkey, with_passkey
    return router


async def remember_challenge(
    dependencies: DeskDependencies, challenge: bytes, kind: str, account_id: str | None = None
) -> str:
    """Store the challenge of a question; gives the state that the answer brings back, once."""
    state, at = new_token(), dependencies.clock()
    async with dependencies.access.database.transaction() as connection:
        await login_identities.remember_login(
            connection, hash_token(state), kind, base64.b64encode(challenge).decode(), at=at, expires_at=at + QUESTION_LASTS,
            account_id=account_id,
        )  # fmt: skip
    return state


async def _answer(
    dependencies: DeskDependencies, request: Request, known: StoredCredential | None, how: str
) -> Response:
    if known is None:
        log.warning("login.refused", reason=how)
        return login_page(dependencies, request, status=403, problem="refused")
    return await logged_in(dependencies, known.account_id, known.name, how=how)


async def _check_password(dependencies: DeskDependencies, form: SubmittedForm) -> StoredCredential | None:
    """The password of an account, if it and the code are right. A wrong one counts against the account."""
    at, mail = dependencies.clock(), form.first("mail").strip()
    async with dependencies.access.database.transaction() as connection:
        password = await credentials.find_credential(connection, mail=mail, kind="password", at=at)
        totp = await credentials.find_credential(connection, mail=mail, kind="totp", at=at)
        async with _hashing:
            typed = form.first("password")[:LONGEST_PASSWORD]
            is_right = await asyncio.to_thread(is_password, typed, password.secret if password else None)
        step = matching_step(form.first("code"), totp.secret.decode(), at, after=totp.counter) if totp else None
        if password and totp and is_right and step is not None:
            await credentials.mark_used(connection, password.credential_id, 0)
            await credentials.mark_used(connection, totp.credential_id, step)
            return password
        if password:
            await credentials.count_failure(connection, password.account_id, at)
    return None


async def _check_passkey(dependencies: DeskDependencies, answer: str, state: str) -> StoredCredential | None:
    at = dependencies.clock()
    async with dependencies.access.database.transaction() as connection:
        asked = await login_identities.take_login(connection, hash_token(state), "passkey-login", at)
    credential_id = credential_id_of(answer)
    if asked is None or credential_id is None:
        return None
    async with dependencies.access.database.transaction() as connection:
        known = await credentials.find_passkey(connection, credential_id, at)
        if known is None:
            return None
        stored = RegisteredPasskey(known.credential_id, known.secret, known.counter)
        try:
            counter = dependencies.passkeys.log_in(answer, base64.b64decode(asked[0]), stored)
        except Rejected:
            return None
        await credentials.mark_used(connection, known.credential_id, counter)
    return known
