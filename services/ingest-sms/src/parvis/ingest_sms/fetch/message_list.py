"""Fetches Twilio's list of messages and their media addresses."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urljoin

import aiohttp
from twilio.base.exceptions import TwilioException
from twilio.rest import Client

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.logs import logger
from parvis.ingest_sms.parse.message_resource import ListedMessage, add_media, parse_message_resource
from parvis.twilio.http_client import TwilioHttpClient

log = logger()
API = "https://api.twilio.com"
_PAGE_SIZE = 200
_TIMEOUT_S = 10.0
_MAX_CONNECTIONS = 4
_GONE = frozenset({400, 404, 410})


class _ResourceGone(Unavailable):
    """Twilio no longer has the resource."""


@dataclass
class MessageList:
    """Twilio's list of the messages to our numbers.

    Raises: Unavailable, when Twilio does not answer, or its answer is not a list.
    """

    tokens: Mapping[str, Sequence[str]]
    base_url: str = ""
    _http: TwilioHttpClient | None = None

    async def list_inbound(self, account: str, *, to: str, since: datetime) -> AsyncGenerator[ListedMessage]:
        """List the messages to one of our numbers since then, newest first. A malformed entry is logged and skipped."""
        query = urlencode({"To": to, "DateSent>": since.strftime("%Y-%m-%dT%H:%M:%SZ"), "PageSize": _PAGE_SIZE})
        uri: str | None = f"/2010-04-01/Accounts/{account}/Messages.json?{query}"
        while uri:
            page = await self._get(account, uri)
            for resource in _resources(page, "messages"):
                if resource.get("direction") == "inbound":
                    yield parse_message_resource(resource)
            uri = str(page.get("next_page_uri") or "")

    async def fetch_media_addresses(self, listed: ListedMessage) -> ListedMessage:
        """Add the media URLs, which the message list does not have.

        Gives: the message unchanged when Twilio has deleted its media list; the contact then reports missing files.
        """
        if not listed.has_media:
            return listed
        try:
            page = await self._get(listed.message.account_sid, listed.media_uri)
        except _ResourceGone as error:
            log.warning("media.refused", contact_id=listed.message.contact_id, reason=str(error))
            return listed
        return add_media(listed, list(_resources(page, "media_list")), base_url=self.base_url or API)

    async def _get(self, account: str, uri: str) -> dict[str, Any]:
        if self._http is None:
            self._http = TwilioHttpClient(
                base_url=self.base_url, timeout_s=_TIMEOUT_S, max_connections=_MAX_CONNECTIONS
            )
        credentials = (account, next(iter(self.tokens.get(account, ())), ""))
        client = Client(*credentials, http_client=self._http)
        try:
            response: Any = await client.request_async("GET", urljoin(API, uri), auth=credentials)
            if response.status_code in _GONE:
                raise _ResourceGone(f"Twilio's list answers {response.status_code}")
            if response.status_code != 200:
                raise Unavailable(f"Twilio's list answers {response.status_code}")
            page: Any = json.loads(response.text)
        except (TimeoutError, aiohttp.ClientError, TwilioException, OSError, ValueError) as error:
            raise Unavailable(f"Twilio's list does not answer: {type(error).__name__}") from error
        if not isinstance(page, dict):
            raise Unavailable("Twilio's list is not a JSON object")
        return page

    async def close(self) -> None:
        if self._http:
            await self._http.close()


def _resources(page: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    entries: Any = page.get(name) or []
    resources = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    if not isinstance(entries, list) or len(resources) < len(entries):
        log.error("listed-message.skipped", reason=f"an entry of Twilio's {name} is no object")
    return resources
