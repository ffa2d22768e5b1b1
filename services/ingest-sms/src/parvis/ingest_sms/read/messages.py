"""The provider's list of messages in, the inbound ones as if they had been announced out; by the official client."""

import json
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

import aiohttp
from twilio.base.exceptions import TwilioException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from parvis.common.contract.errors import Unavailable
from parvis.ingest_sms.parse.listed import Listed, listed, media_of

API = "https://api.twilio.com"
_PAGE = 200
_TIMEOUT_S = 10.0


class _Http(AsyncTwilioHttpClient):
    """The official client's HTTP, with a time-out and a base URL, which it has no settings for; no retries."""

    def __init__(self, base_url: str) -> None:
        super().__init__(pool_connections=False)
        self._base = urlsplit(base_url) if base_url else None
        # A connection that the other side closes after 5 idle seconds must not be taken for a new call.
        self.session: Any = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=4, keepalive_timeout=4))

    async def request(
        self,
        method: str,
        url: str,
        params: dict[str, object] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (the official client's own signature)
        allow_redirects: bool = False,
    ) -> Response:
        if self._base:
            url = urlunsplit(urlsplit(url)._replace(scheme=self._base.scheme, netloc=self._base.netloc))
        if auth:  # aiohttp gives its `auth=` up in version 4 and warns of it
            login = b64encode(":".join(auth).encode()).decode()
            headers = {**(headers or {}), "Authorization": f"Basic {login}"}
        return await super().request(
            method, url, params=params, data=data, headers=headers, timeout=timeout or _TIMEOUT_S,
            allow_redirects=allow_redirects,
        )  # fmt: skip


@dataclass
class MessageList:
    """What Twilio kept of the messages to us.

    Raises: Unavailable, when it does not answer, or not with a list.
    """

    tokens: Mapping[str, Sequence[str]]
    base_url: str = ""
    _http: _Http | None = None

    async def inbound(self, account: str, *, to: str, since: datetime) -> AsyncGenerator[Listed]:
        """Every message to a number of ours since then, newest first, page by page."""
        asked = urlencode({"To": to, "DateSent>": since.strftime("%Y-%m-%dT%H:%M:%SZ"), "PageSize": _PAGE})
        uri: str | None = f"/2010-04-01/Accounts/{account}/Messages.json?{asked}"
        while uri:
            page = await self._get(account, uri)
            for resource in page.get("messages") or ():
                if resource.get("direction") == "inbound":
                    yield listed(resource)
            uri = page.get("next_page_uri")

    async def with_media(self, message: Listed) -> Listed:
        """The same message with the addresses of its files, which the list does not have."""
        if not message.has_media:
            return message
        page = await self._get(message.told.account, message.media_uri)
        base = self.base_url or API
        return media_of(message, page.get("media_list") or (), base=base)

    async def _get(self, account: str, uri: str) -> dict[str, Any]:
        self._http = self._http or _Http(self.base_url)
        login = (account, next(iter(self.tokens.get(account, ())), ""))
        client = Client(*login, http_client=self._http)
        try:
            answer: Any = await client.request_async("GET", urljoin(API, uri), auth=login)
            if answer.status_code != 200:
                raise Unavailable(f"Twilio's list answers {answer.status_code}")
            return json.loads(answer.text)
        except (TimeoutError, aiohttp.ClientError, TwilioException, OSError, ValueError) as error:
            raise Unavailable(f"Twilio's list does not answer: {type(error).__name__}") from error

    async def close(self) -> None:
        if self._http:
            await self._http.close()
