"""Sends the official Twilio client's requests over aiohttp, with a time-out and a base URL."""

from base64 import b64encode
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import aiohttp

from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response

# Raised before a byte of the request was written: DNS, connection or TLS failed.
NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


class TwilioHttpClient(AsyncTwilioHttpClient):
    """The official client's transport with a time-out and a base URL, for which it has no settings.

    It does not retry: the official transport would repeat a POST after any 5xx, and the API has no idempotency key.
    """

    def __init__(self, *, base_url: str, timeout_s: float, max_connections: int) -> None:
        super().__init__(pool_connections=False)
        self._base = urlsplit(base_url) if base_url else None
        self._timeout_s = timeout_s
        # Shorter than the 5 s after which a server may close an idle connection: a new request must not use a dying one.
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
        if auth:  # aiohttp warns about `auth=`: version 4 removes it
            credentials = b64encode(":".join(auth).encode()).decode()
            headers = {**(headers or {}), "Authorization": f"Basic {credentials}"}
        return await super().request(
            method, url, params=params, data=data, headers=headers, timeout=timeout or self._timeout_s,
            allow_redirects=allow_redirects,
        )  # fmt: skip
