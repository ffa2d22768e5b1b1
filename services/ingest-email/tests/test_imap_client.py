"""Tests the IMAP client against a host that says nothing."""

import asyncio
import threading
from contextlib import suppress

import pytest

from parvis.ingest_email.parse.imap_url import parse_imap_urls
from parvis.ingest_email.receive import imap_client
from parvis.ingest_email.receive.imap_client import ImapCredentials, open_mailbox


class SilentHost:
    """Says nothing to a login until it is released."""

    def __init__(self) -> None:
        self.entered, self.released, self.left = threading.Event(), threading.Event(), threading.Event()
        self.was_released = False

    def login(self, _user: str, _password: str) -> None:
        self.entered.set()
        self.was_released = self.released.wait(15)
        self.left.set()

    def shutdown(self) -> None:
        pass


async def test_leaving_a_silent_host_does_not_block_the_event_loop(monkeypatch: pytest.MonkeyPatch):
    host = SilentHost()

    def connect(_account: object, _credentials: object) -> SilentHost:
        return host

    monkeypatch.setattr(imap_client, "_connect", connect)
    (account,) = parse_imap_urls("imap://mairie@127.0.0.1/INBOX", may_be_plain=True)

    async def open_and_wait() -> None:
        async with open_mailbox(account, ImapCredentials("secret")):
            pass

    task = asyncio.create_task(open_and_wait())
    await asyncio.to_thread(host.entered.wait)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    host.released.set()  # only a loop that runs gets here while the host is silent
    await asyncio.to_thread(host.left.wait)
    assert host.was_released
