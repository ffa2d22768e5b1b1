"""Tests the IMAP client against hosts that say nothing, or do not give a mail."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, cast

import pytest
from imapclient.exceptions import IMAPClientAbortError, IMAPClientError

from parvis.common.contract.errors import Unavailable
from parvis.ingest_email.parse.imap_url import parse_imap_urls
from parvis.ingest_email.receive import imap_client
from parvis.ingest_email.receive.imap_client import ImapCredentials, ImapMailbox, MailUnfetchable, open_mailbox


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


class UnwillingHost:
    """Answers a FETCH with an error or with nothing; lists the mail unless it was removed."""

    def __init__(self, answer: Exception | dict[int, object], *listed: int) -> None:
        self.answer, self.listed = answer, list(listed)

    def fetch(self, _uids: list[int], _data: list[str]) -> dict[int, object]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def search(self, _criteria: list[str]) -> list[int]:
        return self.listed


@pytest.mark.parametrize(
    ("host", "error"),
    [
        (UnwillingHost(IMAPClientError("fetch failed: NO Message could not be retrieved"), 7), MailUnfetchable),
        (UnwillingHost(IMAPClientError("FETCH command error: BAD [b'Command failed']"), 7), MailUnfetchable),
        (UnwillingHost({}, 7), MailUnfetchable),
        (UnwillingHost({7: {b"SEQ": 1, b"BODY[]": None}}, 7), MailUnfetchable),
        (UnwillingHost(IMAPClientError("fetch failed: NO [UNAVAILABLE] Later"), 7), Unavailable),
        (UnwillingHost(IMAPClientAbortError("socket error: EOF"), 7), Unavailable),
        (UnwillingHost({}), None),
    ],
)
async def test_a_mail_that_cannot_be_fetched_is_told_from_a_host_that_is_away(
    host: UnwillingHost, error: type[Exception] | None
):
    (account,) = parse_imap_urls("imap://mairie@127.0.0.1/INBOX", may_be_plain=True)
    mailbox = ImapMailbox(account, ImapCredentials(), cast("Any", host), ThreadPoolExecutor(1))
    try:
        content, raised = await mailbox.fetch_mail(7), None
    except Unavailable as unavailable:
        content, raised = None, type(unavailable)
    assert raised is error
    assert content is None
