"""Parses an entry of Twilio's message list into the InboundMessage that its webhook would have brought. Pure; no I/O."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from parvis.ingest_sms.parse.webhook_form import MAX_MEDIA, InboundMessage

_FIELDS = {
    "AccountSid": "account_sid", "MessageSid": "sid", "From": "from", "To": "to", "Body": "body",
    "NumMedia": "num_media", "MessagingServiceSid": "messaging_service_sid",
}  # fmt: skip


@dataclass(frozen=True)
class ListedMessage:
    """One inbound message of the list: its form fields, its raw resource and Twilio's date."""

    message: InboundMessage
    raw_bytes: bytes
    sent_at: datetime | None
    media_uri: str = ""

    @property
    def has_media(self) -> bool:
        return self.message.value("NumMedia") not in ("", "0")


def parse_message_resource(resource: Mapping[str, Any]) -> ListedMessage:
    """Turn one resource of `/Messages.json` into a message. A missing field becomes empty.

    Raises: nothing, for any JSON object.
    """
    values = {name: str(resource[key]) for name, key in _FIELDS.items() if resource.get(key) is not None}
    uris = resource.get("subresource_uris")
    media_uri = uris.get("media", "") if isinstance(uris, Mapping) else ""
    return ListedMessage(
        InboundMessage(values.get("MessageSid", ""), values),
        json.dumps(resource, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace"),
        _parse_date(resource.get("date_sent")) or _parse_date(resource.get("date_created")),
        str(media_uri or f"{str(resource.get('uri', '')).removesuffix('.json')}/Media.json"),
    )


def add_media(listed: ListedMessage, resources: Sequence[Mapping[str, Any]], *, base_url: str) -> ListedMessage:
    """Add the media under the field names of the webhook: MediaUrl0…, MediaContentType0…"""
    values = dict(listed.message.values)
    for number, resource in enumerate(resources[:MAX_MEDIA]):
        values[f"MediaUrl{number}"] = base_url.rstrip("/") + str(resource.get("uri", "")).removesuffix(".json")
        values[f"MediaContentType{number}"] = str(resource.get("content_type", ""))
    return replace(listed, message=InboundMessage(listed.message.message_sid, values))


def _parse_date(value: object) -> datetime | None:
    """Parse an RFC 2822 date. Gives: None for anything else."""
    try:
        instant = parsedate_to_datetime(str(value))
        return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError):
        return None
