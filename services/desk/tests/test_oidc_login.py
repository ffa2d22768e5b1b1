"""Tests the login at a real OpenID Connect provider: npm's oidc-provider, as strict as ProConnect."""

import re
from collections.abc import Generator
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from parvis.common.storage.postgres import Database
from tests.oidc_provider.run_provider import desk_settings, run_provider

pytestmark = pytest.mark.asyncio(loop_scope="module")
DESK = "http://127.0.0.1:8130"


@pytest.fixture(scope="module")
def issuer() -> Generator[str]:
    with run_provider(DESK) as address:
        yield address


@pytest.fixture(scope="module")
def login_settings(issuer: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return desk_settings(issuer, tmp_path_factory.mktemp("town"))


async def authorise(browser: httpx.AsyncClient, who: str) -> str:
    """Begin a login and let the provider identify somebody; gives the address that it sends the browser back to."""
    begun = await browser.get("/login/oidc")
    async with httpx.AsyncClient(follow_redirects=False) as elsewhere:
        address = f"{begun.headers['location']}&login_hint={who}"
        while not address.startswith(DESK):
            answered = await elsewhere.get(address)
            address = str(httpx.URL(address).join(answered.headers["location"]))
    return address


async def log_in(browser: httpx.AsyncClient, who: str) -> httpx.Response:
    return await browser.get(await authorise(browser, who))


async def test_only_the_ways_in_ask_for_no_right(unguarded: set[tuple[str, str]]) -> None:
    ways_in = {("GET", "/login"), ("GET", "/login/oidc"), ("GET", "/login/oidc/return")}

    assert unguarded <= ways_in | {("GET", "/static/{name}"), ("GET", "/openapi.json"), ("POST", "/calls")}


async def test_somebody_whom_a_claim_grants_a_role_gets_in_and_out(browser: httpx.AsyncClient, issuer: str) -> None:
    entered = await log_in(browser, "camille")
    queue = await browser.get("/queue")
    token = re.search(r'name="_csrf" value="([^"]+)"', queue.text)
    assert token
    left = await browser.post("/logout", data={"_csrf": token[1]})
    leaving = urlsplit(left.headers["refresh"].partition("url=")[2])

    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    assert "Camille Exemple" in queue.text
    assert f"{leaving.scheme}://{leaving.netloc}" == issuer
    assert set(parse_qs(leaving.query)) == {"id_token_hint", "post_logout_redirect_uri", "state"}
    async with httpx.AsyncClient() as elsewhere:
        assert (await elsewhere.get(leaving.geturl())).status_code == 200
    assert (await browser.get("/queue")).headers["location"] == "/login"


async def test_the_answer_of_the_provider_works_once_and_in_its_own_browser_only(browser: httpx.AsyncClient) -> None:
    address = await authorise(browser, "camille")
    own = dict(browser.cookies)
    browser.cookies.clear()
    assert (await browser.get(address)).status_code == 403
    browser.cookies.update(own)
    assert (await browser.get(address.replace("state=", "state=x"))).status_code == 403
    assert (await browser.get(address)).status_code == 303
    browser.cookies.clear()
    browser.cookies.update(own)
    replayed = await browser.get(address)

    assert replayed.status_code == 403
    assert "servi deux fois" in replayed.text


async def test_a_code_of_another_login_is_refused(browser: httpx.AsyncClient) -> None:
    """The provider itself refuses it, because the verifier is another's."""
    stolen = parse_qs(urlsplit(await authorise(browser, "camille")).query)["code"][0]
    address = re.sub(r"code=[^&]+", f"code={stolen}", await authorise(browser, "stranger"))
    answer = await browser.get(address)

    assert answer.status_code == 403
    assert "pas donné une connexion que la mairie accepte" in answer.text


async def test_who_has_no_account_and_no_claim_stays_outside(browser: httpx.AsyncClient) -> None:
    answer = await log_in(browser, "stranger")

    assert answer.status_code == 403
    assert "aucun compte" in answer.text
    assert (await browser.get("/queue")).headers["location"] == "/login"


async def test_who_cancels_is_told_so(browser: httpx.AsyncClient) -> None:
    assert "annulée" in (await log_in(browser, "refuse")).text


async def test_another_identity_with_a_known_mail_waits_for_a_supervisor(
    browser: httpx.AsyncClient, database: Database
) -> None:
    assert (await log_in(browser, "camille")).status_code == 303
    browser.cookies.clear()
    waiting = await log_in(browser, "camille-again")
    assert waiting.status_code == 403
    assert "approuver" in waiting.text

    await promote(database)
    assert (await log_in(browser, "camille")).status_code == 303
    page = await browser.get("/identities")
    token = re.search(r'name="_csrf" value="([^"]+)"', page.text)
    found = re.search(r'name="issuer" value="([^"]+)"', page.text)
    assert token
    assert found
    form = {"_csrf": token[1], "issuer": found[1], "subject": "camille-again", "do": "approve"}
    # Camille is the supervisor, and the account is Camille's own.
    assert (await browser.post("/identities", data=form)).status_code == 403
    async with database.transaction() as connection:
        await connection.execute(
            text("update desk.identity set account_id = :other where subject = 'camille-again'"),
            {"other": await other(database)},
        )
    assert (await browser.post("/identities", data=form)).headers["location"] == "/identities?notice=decided"
    assert (await browser.post("/identities", data=form)).status_code == 404
    browser.cookies.clear()
    assert (await log_in(browser, "camille-again")).status_code == 303


async def promote(database: Database) -> None:
    """Make Camille a supervisor, as an administrator would."""
    async with database.transaction() as connection:
        query = "select account_id from desk.account where mail = 'camille@town.example'"
        account = await connection.scalar(text(query))
        await connection.execute(
            text(
                "insert into desk.role_grant (grant_id, account_id, role, department, source, granted_at, granted_by)"
                " values (:id, :account, 'supervisor', 'voirie', 'admin', now(), 'test')"
            ),
            {"id": str(uuid4()), "account": account},
        )


async def other(database: Database) -> str:
    account = str(uuid4())
    async with database.transaction() as connection:
        insert = (
            "insert into desk.account (account_id, name, kind, created_at) values (:id, 'Dominique', 'oidc', now())"
        )
        await connection.execute(text(insert), {"id": account})
    return account
