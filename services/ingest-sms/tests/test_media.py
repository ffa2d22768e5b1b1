"""Facts about the files of messages: fetched from Twilio only, or reported as missing."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI, Request, Response

from parvis.ingest_sms.fetch.allowed_hosts import AllowedHosts, PublicAddressResolver
from parvis.simulators.uvicorn_server import bind, port_of, serve_application

Twilio = Any  # the class in conftest.py, which no test can import
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
TOKEN = "the town's token, for tests only"


@dataclass
class Provider:
    """Serves files as Twilio does, after the prepared answers."""

    url: str = ""
    answers: list[Response] = field(default_factory=list[Response])
    logins: list[str | None] = field(default_factory=list[str | None])
    held: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: Request) -> Response:
        self.logins.append(request.headers.get("authorization"))
        await self.held.wait()
        return self.answers.pop(0) if self.answers else Response(PNG, media_type="image/png")


@pytest.fixture
async def provider() -> AsyncGenerator[Provider]:
    provider, app = Provider(), FastAPI()
    provider.held.set()
    app.add_api_route("/{path:path}", provider.answer, methods=["GET"])
    web = bind("127.0.0.1", 0, "the provider")
    provider.url = f"http://127.0.0.1:{port_of(web)}"
    async with serve_application((app, web)):
        yield provider
    web.close()


@pytest.fixture
async def twilio(make: Any, provider: Provider) -> AsyncGenerator[Twilio]:
    twilio = make(hosts=AllowedHosts(("api.twilio.com", "*.twilio.com"), provider.url))
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(twilio.webhooks.media_jobs.run(stopping))
        await asyncio.sleep(0)
        yield twilio
        stopping.set()
    await twilio.webhooks.intake.media.close()


def files(provider: Provider, count: int = 1) -> dict[str, str]:
    urls = {f"MediaUrl{number}": f"{provider.url}/media/{number}" for number in range(count)}
    types = {f"MediaContentType{number}": "image/png" for number in range(count)}
    return {"NumMedia": str(count)} | urls | types


async def test_files_are_stored_and_named_in_order(twilio: Twilio, provider: Provider) -> None:
    assert (await twilio.write("Voici", **files(provider, 2))).status_code == 200
    (contact,) = twilio.contacts()
    assert [await twilio.webhooks.intake.blobs.get(file) for file in contact.attachments] == [PNG, PNG]
    assert len(contact.personal.file_names) == 2
    assert contact.unreadable is None
    assert all((login or "").startswith("Basic ") for login in provider.logins)


async def test_a_temporary_failure_is_retried(twilio: Twilio, provider: Provider) -> None:
    provider.answers = [Response(status_code=503)]
    assert (await twilio.write("Voici", **files(provider))).status_code == 200
    assert twilio.contacts()[0].attachments[0].size_bytes == len(PNG)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x", "http://api.twilio.com/x", "https://api.twilio.com:8443/x", "https://169.254.169.254/latest",
        "https://api.twilio.com@evil.example/x", "https://user:word@api.twilio.com/x", "file:///etc/passwd", "https://[::1/x", "x",
        "https://twilio.com.evil.example/", "https://eviltwilio.com/", "http://127.0.0.1:1/x",
    ],
)  # fmt: skip
async def test_other_hosts_than_the_providers_are_never_called(twilio: Twilio, provider: Provider, url: str) -> None:
    assert (await twilio.write("Voici", NumMedia="1", MediaUrl0=url, MediaContentType0="image/png")).status_code == 200
    (contact,) = twilio.contacts()
    assert contact.attachments[0].trouble == "not fetched: its address is not one of the provider's"
    assert contact.attachments[0].blob == contact.original.blob  # where the address stands
    assert provider.logins == []


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data", "https://evil.example/", "//evil.example/"]
)
async def test_a_redirect_to_another_host_is_not_followed(twilio: Twilio, provider: Provider, target: str) -> None:
    provider.answers = [Response(status_code=307, headers={"Location": target})]
    await twilio.write("Voici", **files(provider))
    assert twilio.contacts()[0].attachments[0].trouble == "not fetched: its address is not one of the provider's"


async def test_a_redirect_to_an_allowed_host_is_followed(twilio: Twilio, provider: Provider) -> None:
    provider.answers = [Response(status_code=307, headers={"Location": "/elsewhere"})]
    await twilio.write("Voici", **files(provider))
    assert twilio.contacts()[0].attachments[0].size_bytes == len(PNG)


async def test_endless_redirects_are_refused(twilio: Twilio, provider: Provider) -> None:
    provider.answers = [Response(status_code=307, headers={"Location": "/again"}) for _ in range(9)]
    await twilio.write("Voici", **files(provider))
    assert twilio.contacts()[0].attachments[0].trouble


@pytest.mark.parametrize("response", [Response(status_code=404), Response(b"x" * 11 * 1024 * 1024)])
async def test_a_file_that_can_never_be_fetched_is_reported_at_once(
    twilio: Twilio, provider: Provider, response: Response
) -> None:
    provider.answers = [response]
    assert (await twilio.write("", **files(provider))).status_code == 200
    (contact,) = twilio.contacts()
    assert (contact.attachments[0].trouble or "").startswith("not fetched")
    assert contact.unreadable == "has only pictures or files, and one could not be fetched"


async def test_a_slow_file_is_503_and_arrives_later(twilio: Twilio, provider: Provider, monkeypatch: Any) -> None:
    """There is no 200 before the file is stored; the next delivery of the same message joins the first."""
    monkeypatch.setattr("parvis.ingest_sms.receive.webhooks.BUDGET_S", 0.3)
    provider.held.clear()
    assert (await twilio.write("Voici", **files(provider))).status_code == 503
    assert (await twilio.write("Voici", **files(provider))).status_code == 503
    assert twilio.contacts() == []
    provider.held.set()
    async with asyncio.timeout(10):
        while not twilio.contacts():
            await asyncio.sleep(0.01)
    assert len(provider.logins) == 1
    assert len(twilio.contacts()) == 1


def test_only_the_api_receives_credentials() -> None:
    hosts = AllowedHosts(("api.twilio.com", "*.twiliocdn.com"))
    assert hosts.allows(urlsplit("https://mms.twiliocdn.com/x"))
    assert not hosts.allows(urlsplit("https://twiliocdn.com/x"))
    assert hosts.may_receive_credentials(urlsplit("https://api.twilio.com/x"))
    assert not hosts.may_receive_credentials(urlsplit("https://mms.twiliocdn.com/x"))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "::1", "fe80::1", "100.64.0.1"]
)
async def test_a_private_address_is_refused(host: str) -> None:
    with pytest.raises(OSError, match="not a public address"):
        await PublicAddressResolver("http://simulator.example:8190").resolve(host, 443, socket.AF_UNSPEC)


async def test_the_configured_base_url_may_be_private() -> None:
    (resolved,) = await PublicAddressResolver("http://127.0.0.1:8190").resolve("127.0.0.1", 8190, socket.AF_INET)
    assert (resolved["host"], resolved["port"]) == ("127.0.0.1", 8190)
