"""Sends the official Twilio client's requests over aiohttp, with a time-out and a base URL."""

from base64 import b64encode
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response

# Before a byte of the request was written: name not found, connection refused, TLS not agreed.
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


class TwilioHttpClient(AsyncTwilioHttpClient):
    """The official client's HTTP, with the time-out and the base URL that it has no settings for.

    Without retries: its own would send a POST again after any 5xx, and the API has no idempotency key.
    """

    def __init__(self, *, base_url: str, timeout_s: float, max_connections: int) -> None:
        super().__init__(pool_connections=False)
        self._base = urlsplit(base_url) if base_url else None
        self._timeout_s = timeout_s
        # A connection that the other side closes after 5 idle seconds must not be taken for a new call.
        connector = aiohttp.TCPConnector(limit=max_connections, keepalive_timeout=4)
        self.session: Any = aiohttp.ClientSession(connector=connector)

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
            credentials = b64encode(":".join(auth).encode()).decode()
            headers = {**(headers or {}), "Authorization": f"Basic {credentials}"}
        return await super().request(
            method, url, params=params, data=data, headers=headers, timeout=timeout or self._timeout_s,
            allow_redirects=allow_redirects,
        )  # fmt: skip
