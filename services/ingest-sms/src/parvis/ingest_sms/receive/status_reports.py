"""Publishes the delivery reports that Twilio's status callbacks bring."""

from dataclasses import dataclass

from parvis.common.bus.cloudevents import build_record
from parvis.common.bus.producer import Producer
from parvis.common.contract.delivery import DeliveryReported
from parvis.common.contract.topics import DELIVERY_REPORTED
from parvis.common.runtime.logs import logger

log = logger()


@dataclass(frozen=True)
class DeliveryReportPublisher:
    """Publishes delivery reports to the topic `delivery.reported`.

    Raises: Unavailable, when Kafka does not acknowledge in time.
    Retry:  the same status of the same message gives the same event id.
    """

    producer: Producer
    topic_prefix: str

    async def publish(self, report: DeliveryReported, *, deadline_s: float) -> None:
        record = build_record(
            report, topic=DELIVERY_REPORTED.full_name(self.topic_prefix), key=report.reply_id,
            event_id=f"{report.reply_id}.{report.provider_id}.{report.outcome}",
            source="ingest-sms", subject=report.reply_id,
        )  # fmt: skip
        await self.producer.send(record, deadline_s=deadline_s)
        log.info(
            "delivery-report.published", reply_id=report.reply_id, channel=report.channel, outcome=report.outcome, code=report.detail,
        )  # fmt: skip
