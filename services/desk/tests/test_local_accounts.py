"""Tests accounts of the desk: the link that an operator prints, a password with a code, a passkey, a program's token."""

import asyncio
import base64
import hashlib
import json
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import cbor2
import httpx
import pyotp
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pyotp.totp import TOTP

from parvis.common.cli import parser
from parvis.common.contract.errors import Misconfigured
from parvis.common.runtime.clock import now
from parvis.common.storage.postgres import Database
from parvis.desk.store.audit_trail import AuditFilter, read_audit
from parvis.desk.verify.passwords import matching_step

pytestmark = pytest.mark.asyncio(loop_scope="module")
PASSWORD = "trois petits chats gris"
DESK = "http://localhost:8130"


@pytest.fixture(scope="module")
def login_settings() -> dict[str, str]:
    return {"PARVIS_DESK_LOGIN": "local", "PARVIS_DESK_PUBLIC_URL": DESK}


async def operate(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run an operator's command in a thread, as it starts a loop of its own."""

    given = parser().parse_args(arguments)
    await asyncio.to_thread(given.run, given)
    return capsys.readouterr().out.strip().splitlines()[-1]


async def post(browser: httpx.AsyncClient, page: str, path: str, **fields: str) -> httpx.Response:
    token = re.search(r'name="_csrf" value="([^"]+)"', (await browser.get(page)).text)
    assert token
    return await browser.post(path, data=fields | {"_csrf": token[1]})


async def enrol(browser: httpx.AsyncClient, capsys: pytest.CaptureFixture[str], name: str) -> str:
    """An account with a password and a code; gives the code's secret."""
    browser.base_url = httpx.URL(DESK)
    link = await operate(capsys, "desk", "user", "add", f"{name.title()} Exemple", f"{name}@town.example")
    page = link.removeprefix(DESK)
    secret = re.search(r'<span class="words">([A-Z2-7]{32})</span>', (await browser.get(page)).text)
    assert secret
    code = TOTP(secret[1]).at(now() - timedelta(seconds=30))
    done = await post(browser, page, page, password=PASSWORD, code=code)
    assert done.headers["location"] == "/login?notice=enrolled"
    assert (await browser.get(page)).status_code == 404
    return secret[1]


async def log_in(browser: httpx.AsyncClient, name: str, password: str, code: str) -> httpx.Response:
    return await post(browser, "/login", "/login/password", mail=f"{name}@town.example", password=password, code=code)


async def test_only_the_ways_in_ask_for_no_right(unguarded: set[tuple[str, str]]) -> None:
    enrolment = {(method, path) for method in ("GET", "POST") for path in ("/enrol/{token}", "/enrol/{token}/passkey")}
    login = {("GET", "/login"), ("POST", "/login/password"), ("GET", "/login/passkey"), ("POST", "/login/passkey")}

    assert unguarded <= enrolment | login | {("GET", "/static/{name}"), ("GET", "/openapi.json"), ("POST", "/calls")}


async def test_the_first_account_is_an_administrator_with_a_password_and_a_code(
    browser: httpx.AsyncClient, capsys: pytest.CaptureFixture[str], database: Database
) -> None:
    secret = await enrol(browser, capsys, "camille")
    entered = await log_in(browser, "Camille", PASSWORD, TOTP(secret).now())

    assert entered.status_code == 303
    assert "Camille Exemple" in (await browser.get("/accounts")).text
    async with database.transaction() as connection:
        trail = await read_audit(connection, AuditFilter(), 10)
    assert [entry.action for entry in reversed(trail)][:3] == ["account.add", "account.enrol", "session.begin"]


async def test_a_password_alone_a_used_code_and_a_wrong_password_are_refused_alike(
    browser: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = await enrol(browser, capsys, "sacha")
    code = TOTP(secret).now()
    assert (await log_in(browser, "sacha", PASSWORD, code)).status_code == 303
    browser.cookies.clear()
    sentences = set[str]()
    for name, password, typed in (
        ("sacha", PASSWORD, ""),
        ("sacha", PASSWORD, code),
        ("sacha", "another password", TOTP(secret).at(now() + timedelta(seconds=30))),
        ("nobody", PASSWORD, code),
    ):
        refused = await log_in(browser, name, password, typed)
        assert refused.status_code == 403
        found = re.search(r'<li><a href="#f-mail">([^<]+)', refused.text)
        assert found
        sentences.add(found[1])

    assert len(sentences) == 1


async def test_five_wrong_guesses_block_the_right_password_for_a_while(
    browser: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = await enrol(browser, capsys, "andree")
    for _ in range(5):
        await log_in(browser, "andree", "a wrong password", "000000")

    assert (await log_in(browser, "andree", PASSWORD, TOTP(secret).now())).status_code == 403


async def test_a_short_password_or_a_wrong_code_does_not_use_the_link_up(
    browser: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    browser.base_url = httpx.URL(DESK)
    link = await operate(capsys, "desk", "user", "add", "Dominique", "dominique@town.example", "--role", "auditor")
    page = link.removeprefix(DESK)

    assert (await post(browser, page, page, password=PASSWORD, code="000000")).status_code == 422
    assert (await browser.get(page)).status_code == 200
    assert (await browser.get(page + "x")).status_code == 404
    with pytest.raises(Misconfigured, match="has an account already"):
        await operate(capsys, "desk", "user", "add", "Another", "Dominique@town.example")


async def test_a_code_is_accepted_once_and_next_to_its_time() -> None:
    secret, at = pyotp.random_base32(), now()
    step = int(at.timestamp()) // 30
    codes = {shift: TOTP(secret).at(at + timedelta(seconds=30 * shift)) for shift in (-2, -1, 0, 1, 2)}

    assert {matching_step(codes[shift], secret, at, after=0) for shift in (-1, 0, 1)} == {step - 1, step, step + 1}
    assert matching_step(codes[0], secret, at, after=step) is None
    assert matching_step("", secret, at, after=0) is None


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@dataclass
class Authenticator:
    """A passkey of a user's device, as WebAuthn describes it."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    site: str = "localhost"
    origin: str = DESK
    is_verified: bool = True
    counter: int = 1
    credential_id: bytes = b"a passkey of a device"

    def create(self, challenge: str) -> str:
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = b"\0" * 16 + struct.pack(">H", len(self.credential_id)) + self.credential_id + cbor2.dumps(public)
        statement = {"fmt": "none", "attStmt": {}, "authData": self._data(0x40) + attested}
        response = {
            "clientDataJSON": b64(self._client("webauthn.create", challenge)),
            "attestationObject": b64(cbor2.dumps(statement)),
        }
        return self._answer(response)

    def get(self, challenge: str) -> str:
        self.counter += 1
        client, data = self._client("webauthn.get", challenge), self._data(0)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        names = {"clientDataJSON": client, "authenticatorData": data, "signature": signature}
        return self._answer({name: b64(value) for name, value in names.items()})

    def _answer(self, response: dict[str, str]) -> str:
        identifier = b64(self.credential_id)
        return json.dumps({"id": identifier, "rawId": identifier, "type": "public-key", "response": response})

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def _data(self, flags: int) -> bytes:
        flags |= 0x05 if self.is_verified else 0x01
        return hashlib.sha256(self.site.encode()).digest() + bytes([flags]) + struct.pack(">I", self.counter)


async def ask(browser: httpx.AsyncClient, path: str) -> tuple[str, str]:
    asked = (await browser.get(path)).json()
    return json.loads(asked["question"])["challenge"], asked["state"]


async def log_in_with(browser: httpx.AsyncClient, device: Authenticator, state: str = "") -> int:
    challenge, fresh = await ask(browser, "/login/passkey")
    answer = await post(browser, "/login", "/login/passkey", answer=device.get(challenge), state=state or fresh)
    return answer.status_code


async def test_a_passkey_logs_in_and_a_copied_foreign_or_unverified_one_does_not(
    browser: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    browser.base_url = httpx.URL(DESK)
    link = await operate(capsys, "desk", "user", "add", "Marie", "marie@town.example")
    page, device = link.removeprefix(DESK), Authenticator()
    challenge, state = await ask(browser, f"{page}/passkey")
    forged = Authenticator(origin="http://evil.example").create(challenge)
    assert (await post(browser, page, f"{page}/passkey", answer=forged, state=state)).status_code == 403
    challenge, state = await ask(browser, f"{page}/passkey")
    kept = await post(browser, page, f"{page}/passkey", answer=device.create(challenge), state=state)
    assert kept.headers["location"] == "/login?notice=enrolled"

    challenge, state = await ask(browser, "/login/passkey")
    signed = device.get(challenge)
    assert (await post(browser, "/login", "/login/passkey", answer=signed, state=state)).status_code == 303
    browser.cookies.clear()
    assert (await post(browser, "/login", "/login/passkey", answer=signed, state=state)).status_code == 403
    wrong: Sequence[Authenticator] = (
        Authenticator(device.key, is_verified=False, counter=90),
        Authenticator(device.key, origin="http://evil.example", counter=90),
        Authenticator(device.key, site="evil.example", counter=90),
        Authenticator(device.key, counter=0),
        Authenticator(counter=90),
        Authenticator(device.key, credential_id=b"unknown", counter=90),
    )
    assert {await log_in_with(browser, copy) for copy in wrong} == {403}
    assert await log_in_with(browser, device, state="another") == 403
    assert await log_in_with(browser, device) == 303


async def test_a_program_has_its_own_token_and_no_other_rights_than_its_own(
    browser: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]
) -> None:
    browser.base_url = httpx.URL(DESK)
    token = await operate(capsys, "desk", "program", "add", "Telephone", "--department", "voirie", "--role", "agent")
    headers = {"authorization": f"Bearer {token}"}

    assert (await browser.get("/api/v1/cases?department=voirie", headers=headers)).status_code == 200
    assert (await browser.get("/api/v1/cases?department=etat-civil", headers=headers)).status_code == 403
    visit = {"agent": "Camille", "department": "etat-civil", "text": "Bonjour"}
    assert (await browser.post("/api/v1/contacts", json=visit, headers=headers)).status_code == 403
    assert (
        await browser.get("/api/v1/cases?department=voirie", headers={"authorization": "Bearer x"})
    ).status_code == 401
    browser.cookies.set("parvis-desk", token)
    assert (await browser.get("/queue")).headers["location"] == "/login"


async def test_the_trail_is_verified_by_command(browser: httpx.AsyncClient, capsys: pytest.CaptureFixture[str]) -> None:
    await operate(capsys, "desk", "user", "add", "Andrée", "andree.audit@town.example", "--role", "auditor")
    said = await operate(capsys, "audit", "verify")
    head = said.rpartition(" ")[2]

    assert re.fullmatch(r"\d+ entries, unbroken; head \d+:[0-9a-f]{64}", said)
    assert (await operate(capsys, "audit", "verify", "--head", head)) == said
    with pytest.raises(SystemExit):
        parser().parse_args(["audit", "verify", "--head", "5:zz"])
    assert "is no NUMBER:HASH" in capsys.readouterr().err
    arguments = parser().parse_args(["audit", "verify", "--head", f"99999:{head.partition(':')[2]}"])

    assert await asyncio.to_thread(arguments.run, arguments) == 1
    assert "cut off" in capsys.readouterr().err
