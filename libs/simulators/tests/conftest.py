"""The outside world on free ports, and a town that notes what reaches it."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI, Request
from fastapi.responses import Response
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response as TwilioResponse
from twilio.rest import Client

from parvis.simulators.app import Simulators
from parvis.simulators.settings import Settings
from parvis.simulators.uvicorn_server import bind, port_of, serve_application

ACCOUNT_SID = "AC0123456789abcdef0123456789abcdef"
TOKEN = "not-a-secret"
TOWN_NUMBER = "+33536490100"
CITIZEN = "+33639980101"
PUBLIC_URL = "https://www.example-town.example"


async def until(holds: Callable[[], object], *, within_s: float = 10) -> None:
    """Wait until it holds; a deadline, so that a failure is a failure and not a hang."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.01)


@dataclass(frozen=True)
class Call:
    path: str
    form: dict[str, str]
    signature: str
    headers: dict[str, str]


@dataclass
class Letterbox:
    """A mail that reached the town."""

    mail_from: str
    rcpt_tos: list[str]
    content: bytes


@dataclass
class Town:
    """The town's doors: answers are taken from the front of the lists, then all is well."""

    url: str = ""
    smtp_port: int = 0
    calls: list[Call] = field(default_factory=list[Call])
    answers: list[int] = field(default_factory=list[int])
    bodies: list[str] = field(default_factory=list[str])
    mails: list[Letterbox] = field(default_factory=list[Letterbox])
    replies: list[str] = field(default_factory=list[str])

    def statuses(self) -> list[str]:
        return [call.form["MessageStatus"] for call in self.calls if call.path.startswith("/callbacks")]

    async def answer(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        headers = dict(request.headers)
        self.calls.append(Call(request.url.path, form, headers.get("x-twilio-signature", ""), headers))
        status = self.answers.pop(0) if self.answers else 200
        body = self.bodies.pop(0) if self.bodies else "<Response/>"
        return Response(body, status, media_type="text/xml")

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        reply = self.replies.pop(0) if self.replies else "250 2.0.0 stored"
        if reply.startswith("250"):
            sender = "" if envelope.mail_from in {None, "<>"} else str(envelope.mail_from)
            self.mails.append(Letterbox(sender, list(envelope.rcpt_tos), envelope.original_content or b""))
        return reply


@pytest.fixture
async def town() -> AsyncGenerator[Town]:
    town, app = Town(), FastAPI()
    app.add_api_route("/{path:path}", town.answer, methods=["POST"])
    web, smtp = bind("127.0.0.1", 0, "the town"), bind("127.0.0.1", 0, "the town's mail")
    town.url, town.smtp_port = f"http://127.0.0.1:{port_of(web)}", port_of(smtp)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(town, hostname="town.example", enable_SMTPUTF8=True, loop=loop), sock=smtp
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(web.close)
        stack.callback(server.close)
        await stack.enter_async_context(serve_application((app, web)))
        yield town


def settings_for(town: Town, folder: Path, **changed: object) -> Settings:
    values: dict[str, object] = {
        "twilio_port": 0,
        "mail_smtp_port": 0,
        "mail_web_port": 0,
        "twilio_account_sid": ACCOUNT_SID,
        "twilio_auth_token": TOKEN,
        "sms_webhook_url": f"{PUBLIC_URL}/sms?a=b%20c",
        "town_proxies": {PUBLIC_URL: town.url},
        "mail_username": "mairie",
        "mail_password": "also-not-a-secret",
        "mail_certificate": folder / "relay.pem",
        "mail_dir": folder / "mail",
        "town_smtp_port": town.smtp_port,
        "letters_dir": folder / "letters",
        "step_ms": 5,
        "slow_step_ms": 50,
        "silence_s": 30,
    }
    return Settings.model_validate(values | changed)


@pytest.fixture
async def outside(town: Town, tmp_path: Path) -> AsyncGenerator[Simulators]:
    async with Simulators(settings_for(town, tmp_path)) as outside:
        yield outside


@pytest.fixture
async def twilio_sim(outside: Simulators) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=outside.twilio_url, trust_env=False) as client:
        yield client


@pytest.fixture
async def mail_sim(outside: Simulators) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=outside.mail_web_url, trust_env=False) as client:
        yield client


class Redirected(AsyncTwilioHttpClient):
    """The official client, its scheme and host swapped.

    The login goes as a header: given as `auth=`, aiohttp 3.14 warns that it will go away.
    """

    def __init__(self, base_url: str) -> None:
        super().__init__(timeout=5)
        self._base = urlsplit(base_url)

    async def request(  # pyright: ignore[reportIncompatibleMethodOverride] (the parent's types are looser)
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (the parent's signature)
        allow_redirects: bool = False,
    ) -> TwilioResponse:
        headers = dict(headers or {})
        if auth:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(auth).encode()).decode()
        swapped = urlsplit(url)._replace(scheme=self._base.scheme, netloc=self._base.netloc).geturl()
        return await super().request(
            method, swapped, params, data, headers, None, timeout or self.timeout, allow_redirects
        )


@pytest.fixture
async def http(outside: Simulators) -> AsyncGenerator[Redirected]:
    async with Redirected(outside.twilio_url) as http:
        yield http


@pytest.fixture
def twilio(http: Redirected) -> Client:
    return Client(ACCOUNT_SID, TOKEN, http_client=http)
