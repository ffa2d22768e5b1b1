"""Contacts the town through each of its channels as a citizen would, for the demo and the tests."""

import os
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx

from parvis.common.contract.errors import Unavailable
from parvis.local.stack import Stack

FormFile = tuple[str, tuple[str, bytes, str]]
"""The field of a form, and the name, the content and the media type of its file."""
TOWN_MAILBOX = "mairie@example-town.example"


class Citizens:
    """Citizens with a telephone, a mailbox, a browser and the post. `async with Citizens(stack) as citizens`."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._http = httpx.AsyncClient(timeout=30)

    async def __aenter__(self) -> "Citizens":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def text(self, sender: str, body: str, *, repeat: int = 1, sid: str | None = None) -> dict[str, Any]:
        """Send a text message; Twilio announces it `repeat` times, under one sid."""
        message = {"from": sender, "body": body, "repeat": repeat, "sid": sid}
        return await self._post(
            f"http://127.0.0.1:{self._stack.port('outside.twilio')}/_sim/inbound",
            {name: value for name, value in message.items() if value is not None},
        )

    async def mail(self, sender: str, subject: str, text: str, *, message_id: str) -> dict[str, Any]:
        """Send a mail to the town's general mailbox."""
        message = {"from": sender, "subject": subject, "text": text, "message_id": message_id}
        return await self._post(f"http://127.0.0.1:{self._stack.port('outside.mail-web')}/_sim/send", message)

    async def open_form(self, procedure: str, *, language: str = "fr") -> "WebForm":
        """Open a procedure's page; each opened form may be sent once, or by twenty clicks."""
        url = f"{self._stack.url('ingest-web')}/demarches/{procedure}"
        page = await self._http.get(url, params={"lang": language})
        page.raise_for_status()
        return WebForm(self._http, url, page.text)

    def drop(self, content: bytes, name: str) -> None:
        """Put a file into the scanner's folder atomically: write it beside the folder, then move it in."""
        folder = Path(self._stack.env["PARVIS_INGEST_POSTAL_FOLDER"])
        part = folder / "tmp" / name
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.rename(folder / "ready" / name)

    async def messages_to(self, number: str) -> list[dict[str, Any]]:
        """Read the messages that arrived on a telephone."""
        url = f"http://127.0.0.1:{self._stack.port('outside.twilio')}/_sim/messages"
        answer = await self._http.get(url, params={"to": number, "direction": "outbound-api"})
        return answer.json()["messages"]

    async def mails_to(self, address: str) -> list[dict[str, Any]]:
        """Read the mails that arrived in a mailbox."""
        url = f"http://127.0.0.1:{self._stack.port('outside.mail-web')}/_sim/messages"
        return (await self._http.get(url, params={"to": address})).json()["messages"]

    def letters(self) -> list[Path]:
        """List the letters in the print shop's folder."""
        return sorted(Path(self._stack.env["PARVIS_NOTIFIER_LETTERS_DIR"]).glob("*.pdf"))

    async def _post(self, url: str, message: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self._http.post(url, json=message)
        if answer.status_code != 200:
            raise Unavailable(f"the simulator refused the message: {answer.status_code} {answer.text[:200]}")
        return answer.json()


class WebForm:
    """An open form in a browser, with its hidden one-time token."""

    def __init__(self, http: httpx.AsyncClient, url: str, html: str) -> None:
        self._http = http
        self._url = url
        reader = HiddenInputs()
        reader.feed(html)
        self.hidden = reader.hidden

    async def send(self, answers: Mapping[str, str], *, files: Sequence[FormFile] = ()) -> httpx.Response:
        """Submit the form. Submitted again, it carries the same token."""
        return await self._post(self._url, answers, files, {})

    async def upload(self, files: Sequence[FormFile], *, client: str = "") -> httpx.Response:
        """Store files before the form is sent, as its script does; `client` is the address that a proxy would name."""
        named = {"X-Forwarded-For": client} if client else {}
        return await self._post(f"{self._url}/fichiers", {}, files, named)

    async def _post(
        self, url: str, answers: Mapping[str, str], files: Sequence[FormFile], headers: Mapping[str, str]
    ) -> httpx.Response:
        fields = [(name, (None, value.encode(), None)) for name, value in (self.hidden | dict(answers)).items()]
        origin = {"Origin": self._url.partition("/demarches")[0]}
        return await self._http.post(url, files=[*fields, *files], headers=origin | dict(headers))


class HiddenInputs(HTMLParser):
    """Collects the hidden fields of a page's forms."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "input" and attributes.get("type") == "hidden" and attributes.get("name"):
            self.hidden[str(attributes["name"])] = attributes.get("value") or ""
