"""Reports letters of ours that came back as undelivered."""

from dataclasses import dataclass

from parvis.common.bus.cloudevents import build_record
from parvis.common.contract.delivery import DeliveryReported
from parvis.common.contract.letter_qr import decode_letter_qr
from parvis.common.contract.reply import ReplyId
from parvis.common.runtime.logs import logger
from parvis.ingest_postal.models.scan import ScanReading
from parvis.ingest_postal.parse.receipt_date import ScanArrival
from parvis.ingest_postal.ports.drop_box import WaitingScan
from parvis.ingest_postal.receive.scan_intake import EventSender

log = logger()
_FOLDER = "returned/"
_LETTER_MARK = "/#P-"  # before the reference in the code of a letter


@dataclass(frozen=True)
class ReturnedLetters:
    """Reports the letters that the mail room scans into `ready/returned/`; the signed code on the first page names the reply.

    Retry:  the same letter scanned twice gives the same event id.
    Raises: Unavailable, when Kafka does not acknowledge.
    """

    producer: EventSender
    topic: str
    key: bytes

    async def report(self, reading: ScanReading, arrival: ScanArrival) -> int:
        """Report every letter with a valid code on the scan. A damaged code is logged and does not stop the others.

        Gives: the number of reported letters; after 0 an agent must read the scan.
        """
        texts = [code.text for page in reading.pages for code in page.codes]
        letters = {text: decode_letter_qr(text, self.key) for text in texts}
        if damaged := sum(letter is None and _LETTER_MARK in text for text, letter in letters.items()):
            log.warning(
                "letter-code.rejected", channel="post", count=damaged, reason="damaged, or not signed by this town"
            )
        reply_ids = dict.fromkeys(letter.reply_id for letter in letters.values() if letter)
        for reply_id in reply_ids:
            await self._report_reply(reply_id, arrival)
        return len(reply_ids)

    async def _report_reply(self, reply_id: ReplyId, arrival: ScanArrival) -> None:
        report = DeliveryReported(
            reply_id=reply_id,
            channel="post",
            provider="mail-room",
            outcome="undelivered",
            failure_class="permanent",
            detail="the letter came back",
            reported_at=arrival.first_seen_at,
        )
        record = build_record(
            report,
            topic=self.topic,
            key=reply_id,
            event_id=f"{reply_id}.mail-room.undelivered",
            source="ingest-postal",
            subject=reply_id,
            time=arrival.first_seen_at,
        )
        await self.producer.send(record)
        log.info(
            "delivery-report.published", reply_id=reply_id, channel="post", outcome=report.outcome, code=report.detail
        )


def is_returned_letter(file: WaitingScan) -> bool:
    """Whether the mail room has put the scan among the returned letters."""
    return file.name.startswith(_FOLDER)
