"""Logs agents in at the town's identity provider, and finds the account that an identity belongs to."""

import json
import uuid
from dataclasses import asdict, dataclass
from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.logs import logger
from parvis.desk.models.accounts import AuditRecord
from parvis.desk.pages.dependencies import DeskDependencies
from parvis.desk.pages.login import logged_in, login_page
from parvis.desk.store import accounts as account_store
from parvis.desk.store import login_identities
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.verify.agent_sessions import hash_token, new_token
from parvis.web.oidc.provider_config import LoginRefused
from parvis.web.oidc.relying_party import LoginAttempt, OidcIdentity, RelyingParty

log = logger()
_LASTS = timedelta(minutes=10)
_COOKIE_NAME = "parvis-desk-login"


def routes(dependencies: DeskDependencies) -> APIRouter:
    """Where a login begins, and where the provider sends the browser back.

    Gives: 303 to the first page with a session; the login page with 403 and a sentence for a login that is not accepted, 503 when
           the provider does not answer.
    """
    router = APIRouter()
    party = dependencies.provider
    if party is None:
        return router

    @router.get("/login/oidc")
    async def begin(request: Request) -> Response:
        try:
            return await _begin(dependencies, party)
        except Unavailable as error:
            return _provider_away(dependencies, request, error)

    @router.get("/login/oidc/return")
    async def come_back(request: Request) -> Response:
        try:
            return await _come_back(dependencies, party, request)
        except Unavailable as error:
            return _provider_away(dependencies, request, error)

    _ = begin, come_back
    return router


def _provider_away(dependencies: DeskDependencies, request: Request, error: Unavailable) -> Response:
    log.warning("identity-provider.unavailable", reason=str(error))
    return login_page(dependencies, request, status=503, problem="provider_away")


async def _begin(dependencies: DeskDependencies, party: RelyingParty) -> Response:
    """Remember the attempt under what the browser alone has: somebody else's answer, planted in it, opens nothing."""
    address, attempt = await party.begin()
    browser, at = new_token(), dependencies.clock()
    async with dependencies.access.database.transaction() as connection:
        await login_identities.remember_login(
            connection, hash_token(browser + attempt.state), "oidc", json.dumps(asdict(attempt)), at=at, expires_at=at + _LASTS
        )  # fmt: skip
    response = RedirectResponse(address, status_code=303)
    response.set_cookie(
        _cookie_name(dependencies), browser, max_age=int(_LASTS.total_seconds()), httponly=True,
        secure=dependencies.sessions.is_https, samesite="lax", path="/",
    )  # fmt: skip
    return response


def _cookie_name(dependencies: DeskDependencies) -> str:
    return f"__Host-{_COOKIE_NAME}" if dependencies.sessions.is_https else _COOKIE_NAME


async def _come_back(dependencies: DeskDependencies, party: RelyingParty, request: Request) -> Response:
    browser = request.cookies.get(_cookie_name(dependencies), "")
    key = hash_token(browser + request.query_params.get("state", ""))
    async with dependencies.access.database.transaction() as connection:
        stored = await login_identities.take_login(connection, key, "oidc", dependencies.clock())
    if stored is None:
        return login_page(dependencies, request, status=403, problem="expired")
    try:
        identity = await party.finish(request.query_params, LoginAttempt(**json.loads(stored[0])))
    except LoginRefused as error:
        log.warning("login.refused", reason=str(error), provider=party.provider.issuer)
        problem = "cancelled" if str(error) == "cancelled" else "not_accepted"
        return login_page(dependencies, request, status=403, problem=problem)
    async with dependencies.access.database.transaction() as connection:
        known = await _find_account(dependencies, connection, identity)
    if not known.is_open:
        return login_page(dependencies, request, status=403, problem=known.problem)
    response = await logged_in(dependencies, known.account_id, known.name, how="oidc", id_token=identity.id_token)
    response.delete_cookie(_cookie_name(dependencies), path="/", secure=dependencies.sessions.is_https)
    return response


@dataclass(frozen=True)
class IdentifiedAccount:
    """The account of somebody who logged in, or the key of the sentence that says why there is none for them."""

    account_id: str = ""
    name: str = ""
    problem: str = ""

    @property
    def is_open(self) -> bool:
        return not self.problem


async def _find_account(
    dependencies: DeskDependencies, connection: AsyncConnection, identity: OidcIdentity
) -> IdentifiedAccount:
    """The account of an identity: by its subject alone, which is the person's for good.

    Gives: an account whose mail address is the identity's takes its first identity by that; a second one waits for a supervisor.
           Without an account, one is made if a claim grants something.
    """
    at, issuer, subject = dependencies.clock(), identity.issuer, identity.subject
    granted = [rule.grant for rule in dependencies.access.rules.claims if rule.is_stated_by(identity.claims)]
    found = await login_identities.find_identity(connection, issuer, subject)
    if found is None:
        found = await _introduce(dependencies, connection, identity, is_granted=bool(granted))
    if found is None:
        return IdentifiedAccount(problem="unknown")
    account_id, state = found
    account = await account_store.find_account(connection, account_id)
    if state != "approved" or account is None or account.disabled_at:
        return IdentifiedAccount(problem="pending" if state == "pending" else "unknown")
    await account_store.revoke_grants_from(connection, account_id, "claims", at=at, by="claims")
    for grant in granted:
        await account_store.add_grant(connection, account_id, grant, at=at, by="claims")
    return IdentifiedAccount(account_id, account.name)


async def _introduce(
    dependencies: DeskDependencies, connection: AsyncConnection, identity: OidcIdentity, *, is_granted: bool
) -> tuple[str, login_identities.IdentityState] | None:
    """Give an identity that comes for the first time its account."""
    at, issuer, subject = dependencies.clock(), identity.issuer, identity.subject
    mail = identity.claims.get("email")
    is_trusted = isinstance(mail, str) and identity.claims.get("email_verified", True) is True
    known = await account_store.find_account_by_mail(connection, str(mail)) if is_trusted else None
    state: login_identities.IdentityState = "approved"
    if known is not None:
        account_id = known.account_id
        if known.kind != "oidc" or await login_identities.has_identity(connection, account_id, issuer):
            state = "pending"
    elif is_granted:
        account_id, name = str(uuid.uuid4()), _name_of(identity)
        await account_store.add_account(
            connection, account_id, name, "oidc", mail=str(mail) if is_trusted else None, at=at, by="claims"
        )
    else:
        return None
    await login_identities.add_identity(connection, issuer, subject, account_id, state, at)
    record = AuditRecord(
        at, account_id, known.name if known else _name_of(identity), f"identity.{state}", subject=account_id
    )
    await append_audit(connection, record)
    return account_id, state


def _name_of(identity: OidcIdentity) -> str:
    """The person's name as the provider states it; ProConnect has no `name`, but given and usual names."""
    claims = identity.claims
    parts = [claims.get("given_name"), claims.get("usual_name") or claims.get("family_name")]
    spelled = " ".join(part for part in parts if isinstance(part, str)) or str(claims.get("name") or "")
    return " ".join(spelled.split())[:80] or "?"
