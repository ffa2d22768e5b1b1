"""Facts about the send loop: a slow channel delays no other, and a failed delivery stops no other."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from services.notifier.tests.parts import MakeReply, Notifier

from parvis.common.contract.contact import ClaimCheck, ContactId, ContactPoint, ScanVerdict
from parvis.common.files.antivirus import AntivirusScanner
from parvis.common.storage.blobs import BlobStore
from parvis.notifier.app.parts import Clients

pytestmark = pytest.mark.stack
MAIL = (ContactPoint(kind="email", value="celeste@citizens.example"),)
SMS = (ContactPoint(kind="phone", value="+33639980001"),)


def phone(number: int) -> tuple[ContactPoint, ...]:
    return (ContactPoint(kind="phone", value=f"+3363998{number:04d}"),)


async def stored_file(folder: Path, content: bytes = b"%PDF-1.4", scan: ScanVerdict = "unscanned") -> ClaimCheck:
    blobs = BlobStore(f"file://{folder / 'blobs'}")
    claim = await blobs.put(ContactId("5f3f7a0e-5a0c-5c3e-9a53-2f0d9c1b7e11"), content, "application/pdf")
    return claim.model_copy(update={"scan": scan})


async def test_a_mail_leaves_while_the_text_messages_wait_for_their_rate(
    a_notifier: Callable[..., Notifier], make_reply: MakeReply
) -> None:
    notifier = a_notifier(sms_per_second=3, in_flight=10)
    await notifier.take(*(make_reply(f"s{n}", points=phone(n)) for n in range(60)))
    await notifier.take(make_reply("mail", channel="email", points=MAIL))
    async with notifier.running():
        await notifier.until(lambda states: states[-1] == "accepted", within_s=60)
        waiting = [state for state in (await notifier.states())[:-1] if state in {"planned", "reserved"}]
    assert len(waiting) > 10, (
        "more text messages waited than may be called at a time, and the mail did not wait for them"
    )


async def test_a_missing_file_ends_its_own_delivery_and_no_other(notifier: Notifier, make_reply: MakeReply) -> None:
    present = await stored_file(notifier.folder)
    missing = present.model_copy(update={"blob": f"{present.blob[:-1]}x"})
    async with notifier.running():
        await notifier.take(
            make_reply("bad", channel="email", points=MAIL, attachments=(missing,)), make_reply("good", points=phone(2))
        )
        await notifier.until(lambda states: states[:2] == ["failed", "accepted"], within_s=60)
        await notifier.take(make_reply("later", points=phone(3)))
        await notifier.until(lambda states: states[-1] == "accepted", within_s=60)
    assert (await notifier.rows())[0].failure_class == "refused"


class Scanner:
    """A scanner whose verdict can be set."""

    def __init__(self) -> None:
        self.verdict: ScanVerdict = "pending"
        self.scans = 0

    async def scan(self, content: bytes, *, limit_s: float = 2.0) -> ScanVerdict:
        self.scans += 1
        return self.verdict


@pytest.mark.parametrize(("verdict", "state"), [("clean", "accepted"), ("infected", "failed")])
async def test_a_pending_file_is_not_mailed_until_it_is_scanned_and_an_infected_one_never(
    a_notifier: Callable[..., Notifier], clients: Clients, make_reply: MakeReply, verdict: ScanVerdict, state: str
) -> None:
    scanner = Scanner()
    notifier = a_notifier(changed=replace(clients, scanner=cast(AntivirusScanner, scanner)))
    file = await stored_file(notifier.folder, scan="pending")
    async with notifier.running():
        await notifier.take(make_reply("file", channel="email", points=MAIL, attachments=(file,)))
        await notifier.until(lambda states: states == ["planned"] and scanner.scans > 0)
        scanner.verdict = verdict
        await notifier.until(lambda states: states[0] == state, within_s=60)
    assert [update.state for update in notifier.published][:3] == ["reserved", "planned", "reserved"]
