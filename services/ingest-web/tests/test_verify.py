"""Tests client addresses behind trusted proxies, rate limits, and the checks of files."""

import io
import zipfile

import httpx
import pytest
from fastapi import Request

from parvis.common.contract.contact import make_contact_id
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.files.inspection import FileInspector
from parvis.common.runtime.clock import now
from parvis.common.runtime.health import Health
from parvis.common.runtime.rate_limits import RateLimiter, parse_networks
from parvis.common.storage.blobs import BlobStore
from parvis.common.storage.outbox import Outbox
from parvis.common.testing import FakeProducer
from parvis.ingest_web.models.form import FormFile
from parvis.ingest_web.store.submission_store import SubmissionStore
from parvis.ingest_web.store.submissions import outbox
from parvis.ingest_web.verify.client_address import client_network
from parvis.ingest_web.verify.rate_limit import SubmissionRateLimit

from .conftest import Browser

TRUSTED = parse_networks("127.0.0.0/8, 198.51.100.0/24")
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def a_request(peer: str, forwarded: str | None = None) -> Request:
    headers = httpx.Headers({"x-forwarded-for": forwarded} if forwarded else {}).raw
    return Request({"type": "http", "client": (peer, 1), "headers": headers})


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "192.0.2.1", "203.0.113.7"),  # a stranger's word about himself
        ("127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", "192.0.2.66, 203.0.113.7, 198.51.100.2", "203.0.113.7"),  # written by the sender; seen by ours
        ("127.0.0.1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("127.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", None, None),
        ("10.0.0.4", None, None),  # a proxy that nobody named, or the town's own people
        ("127.0.0.1", "nonsense", None),
    ],
)
def test_a_source_is_the_last_address_that_somebody_we_trust_has_seen(
    peer: str, forwarded: str | None, source: str | None
) -> None:
    assert client_network(a_request(peer, forwarded), TRUSTED) == source


def test_nobody_is_refused_because_of_the_others() -> None:
    crowd = SubmissionRateLimit(RateLimiter(1, 1), RateLimiter(1, 1, most=1), requires_work=False)
    under_attack = SubmissionRateLimit(RateLimiter(1, 1), RateLimiter(1, 1, most=1), requires_work=True)

    assert [crowd.wait_s(who) for who in ("a", "b", None)] == [0.0, 0.0, 0.0]
    assert crowd.wait_s("a") > 0
    assert under_attack.wait_s("a") == 0.0
    assert under_attack.wait_s("b") > 0


@pytest.mark.asyncio(loop_scope="module")
async def test_a_dangerous_archive_is_stored_and_flagged(browser: Browser) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"\x00" * 50_000_000)
    inspector = FileInspector()
    vault = SubmissionStore(
        database=browser.database,
        outbox=Outbox(outbox, browser.database, FakeProducer(), Health(), "test"),  # pyright: ignore[reportArgumentType]
        blobs=BlobStore(f"file://{browser.blobs}"),
        scanner=AntivirusScanner(""),
        inspector=inspector,
        topic_prefix="test",
        hashing_key=b"a key for tests only",
        clock=now,
    )

    async def content() -> bytes:
        return packed.getvalue()

    file = FormFile("bombe.docx", len(packed.getvalue()), DOCX, "0" * 64)
    not_examined = await vault.store_file(make_contact_id("web", "x", "1"), file, content)
    async with inspector.running():
        looked = await vault.store_file(make_contact_id("web", "x", "2"), file, content)

    assert not_examined.claim.trouble == "nobody has looked into it"
    assert looked.claim.trouble
    assert looked.claim.trouble != not_examined.claim.trouble
    assert (browser.blobs / looked.claim.blob).read_bytes() == packed.getvalue()


def test_files_have_a_budget_in_megabytes_for_each_source_and_each_form():
    clock = [0.0]

    def limiter(per_minute: float, burst: int) -> RateLimiter:
        return RateLimiter(per_minute, burst, clock=lambda: clock[0])

    limit = SubmissionRateLimit(None, limiter(1, 1), False, None, limiter(60, 100), limiter(1, 50))

    assert limit.megabytes_wait_s("203.0.113.7", "one", 50_000_000) == 0
    assert limit.megabytes_wait_s("203.0.113.7", "one", 1_000_000) > 0
    assert limit.megabytes_wait_s("203.0.113.7", "two", 50_000_000) == 0
    assert limit.megabytes_wait_s("203.0.113.7", "three", 1_000_000) > 0
    assert limit.megabytes_wait_s(None, "two", 1_000_000) > 0
    assert limit.megabytes_wait_s("203.0.113.9", "four", 1_000_000) == 0
    assert limit.megabytes_wait_s("203.0.113.7", "three", 0) == 0
    clock[0] = 60.0
    assert limit.megabytes_wait_s("203.0.113.7", "three", 1_000_000) == 0
