"""A message of the provider's list in, the same message as its webhook would have told it out. Pure; no I/O."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from parvis.ingest_sms.parse.form import MOST_MEDIA, Announcement

_FIELDS = {
    "AccountSid": "account_sid", "MessageSid": "sid", "From": "from", "To": "to", "Body": "body",
    "NumMedia": "num_media", "MessagingServiceSid": "messaging_service_sid",
}  # fmt: skip


@dataclass(frozen=True)
class Listed:
    """One inbound message that Twilio has: told as by a webhook, its raw resource, and Twilio's own date."""

    told: Announcement
    raw: bytes
    sent_at: datetime | None
    media_uri: str = ""

    @property
    def has_media(self) -> bool:
        return self.told.value("NumMedia") not in ("", "0")


def listed(resource: Mapping[str, Any]) -> Listed:
    """One resource of `/Messages.json`. What it does not have is empty; nothing is raised."""
    values = {name: str(resource[key]) for name, key in _FIELDS.items() if resource.get(key) is not None}
    uris = resource.get("subresource_uris")
    media_uri = uris.get("media", "") if isinstance(uris, Mapping) else ""
    return Listed(
        Announcement(values.get("MessageSid", ""), values),
        json.dumps(resource, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace"),
        _instant(resource.get("date_sent")) or _instant(resource.get("date_created")),
        str(media_uri or f"{str(resource.get('uri', '')).removesuffix('.json')}/Media.json"),
    )


def media_of(message: Listed, resources: Sequence[Mapping[str, Any]], *, base: str) -> Listed:
    """The message with its files, as MediaUrl0… and MediaContentType0… would have told them."""
    values = dict(message.told.values)
    for number, resource in enumerate(resources[:MOST_MEDIA]):
        values[f"MediaUrl{number}"] = base.rstrip("/") + str(resource.get("uri", "")).removesuffix(".json")
        values[f"MediaContentType{number}"] = str(resource.get("content_type", ""))
    return replace(message, told=Announcement(message.told.message_sid, values))


def _instant(text: object) -> datetime | None:
    """Twilio writes RFC 2822, to the second."""
    try:
        instant = parsedate_to_datetime(str(text))
    except (ValueError, TypeError):
        return None
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
