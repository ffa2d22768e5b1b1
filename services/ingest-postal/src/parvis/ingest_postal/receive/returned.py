"""The scan of a letter of ours that nobody took in; what became of its reply on Kafka out."""

from dataclasses import dataclass

from parvis.common.bus.cloudevents import build_record
from parvis.common.contract.delivery import DeliveryReported
from parvis.common.contract.letter_qr import decode_letter_qr
from parvis.common.contract.reply import ReplyId
from parvis.common.runtime.logs import logger
from parvis.ingest_postal.receive.acceptance import Sends
from parvis.ingest_postal.receive.arrival import Arrival
from parvis.ingest_postal.receive.dropbox import Waiting
from parvis.ingest_postal.tables import Reading

log = logger()
_FOLDER = "returned/"


@dataclass(frozen=True)
class Returns:
    """What the mail room puts into `ready/returned/`: the signed code on the first page names the reply.

    Retry:  the same letter scanned twice is one report, whatever else the scan shows.
    Raises: Unavailable, while Kafka is away.
    """

    producer: Sends
    topic: str
    key: bytes

    async def report(self, reading: Reading, arrival: Arrival) -> int:
        """Say of every letter of ours in a scan that it came back; how many there were. None: it is for people to read."""
        codes = [decode_letter_qr(code.text, self.key) for page in reading.pages for code in page.codes]
        replies = dict.fromkeys(letter.reply_id for letter in codes if letter)
        for reply in replies:
            await self._report(reply, arrival)
        return len(replies)

    async def _report(self, reply: ReplyId, arrival: Arrival) -> None:
        returned = DeliveryReported(
            reply_id=reply,
            channel="post",
            provider="mail-room",
            outcome="undelivered",
            failure_class="permanent",
            detail="the letter came back",
            reported_at=arrival.seen_at,
        )
        sent = build_record(
            returned,
            topic=self.topic,
            key=reply,
            event_id=f"{reply}.mail-room.undelivered",
            source="ingest-postal",
            subject=reply,
            time=arrival.seen_at,
        )
        await self.producer.send(sent)
        log.info("delivery.reported", reply_id=reply, channel="post", outcome=returned.outcome, code=returned.detail)


def came_back(file: Waiting) -> bool:
    """Whether the mail room says that it is a letter of ours which did not arrive."""
    return file.name.startswith(_FOLDER)
