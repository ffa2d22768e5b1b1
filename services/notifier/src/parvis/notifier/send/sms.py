"""A text and a number in, one call of Twilio's Messages API, its outcome out."""

from base64 import b64encode
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import aiohttp
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from parvis.notifier.rules import Outcome, Parcel

# Twilio's code → (our outcome, failure class): their words. Source: Twilio docs, "Error and warning dictionary".
CODES: dict[int, Outcome] = {
    20003: Outcome("retry", None, "temporary", "20003 authenticate"),  # ours to mend: the account or its token
    20429: Outcome("retry", None, "temporary", "20429 too many requests"),
    21211: Outcome("failed", None, "permanent", "21211 invalid To number"),
    21214: Outcome("failed", None, "unreachable", "21214 To number cannot be reached"),
    21408: Outcome("failed", None, "refused", "21408 no permission for the region"),
    21610: Outcome("failed", None, "opted-out", "21610 unsubscribed recipient"),
    21612: Outcome("failed", None, "unreachable", "21612 To and From do not go together"),
    21614: Outcome("failed", None, "permanent", "21614 not a mobile number"),
    21617: Outcome("failed", None, "too-long", "21617 over 1600 characters"),
    30003: Outcome("failed", None, "unreachable", "30003 handset switched off or away"),
    30004: Outcome("failed", None, "refused", "30004 blocked"),
    30005: Outcome("failed", None, "permanent", "30005 unknown handset"),
    30006: Outcome("failed", None, "permanent", "30006 landline or unreachable carrier"),
    30007: Outcome("failed", None, "refused", "30007 filtered by the carrier"),
    30022: Outcome("retry", None, "temporary", "30022 rate of the sender exceeded"),
}

# aiohttp's errors before a byte of the request was written: name not found, connection refused, TLS not agreed.
_NEVER_LEFT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


class _Http(AsyncTwilioHttpClient):
    """The official client's HTTP, with a time-out and a base URL, which it has no settings for.

    Without retries: its own would send a POST again after any 5xx, and the API has no idempotency key.
    """

    def __init__(self, *, base_url: str, timeout_s: float, most: int) -> None:
        super().__init__(pool_connections=False)
        self._base = urlsplit(base_url) if base_url else None
        self._timeout_s = timeout_s
        # A connection that the other side closes after 5 idle seconds must not be taken for a new call.
        connector = aiohttp.TCPConnector(limit=most, keepalive_timeout=4)
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
            login = b64encode(":".join(auth).encode()).decode()
            headers = {**(headers or {}), "Authorization": f"Basic {login}"}
        wait_s = timeout or self._timeout_s
        return await super().request(
            method, url, params=params, data=data, headers=headers, timeout=wait_s, allow_redirects=allow_redirects
        )


class Sms:
    """Twilio."""

    provider = "twilio"

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        base_url: str,
        sender: str,
        public_url: str,
        timeout_s: float,
        most: int,
    ) -> None:
        self._http = _Http(base_url=base_url, timeout_s=timeout_s, most=most)
        self._twilio = Client(account_sid, auth_token, http_client=self._http)
        self._sender = sender
        self._public_url = public_url

    async def send(self, parcel: Parcel) -> Outcome:
        """One POST, once."""
        delivery = parcel.delivery
        try:
            message: Any = await self._twilio.messages.create_async(
                to=delivery.address,
                from_=self._sender,
                body=parcel.content.decode(),
                status_callback=f"{self._public_url}/sms/status?reply={quote(delivery.reply_id)}",
            )
        except TwilioRestException as refusal:
            return outcome_of(int(refusal.status), refusal.code)
        except _NEVER_LEFT as error:
            return Outcome("retry", None, "temporary", type(error).__name__)
        except (TimeoutError, aiohttp.ClientError, TwilioException, OSError, ValueError) as error:
            return Outcome("unknown", None, "temporary", f"no answer: {type(error).__name__}")
        return Outcome("accepted", message.sid)

    async def close(self) -> None:
        await self._http.close()


def outcome_of(status: int, code: int | None) -> Outcome:
    """What a refusal of the API means. A 4xx is definite; after a 5xx the message may have been sent all the same."""
    if status >= 500:
        return Outcome("unknown", None, "temporary", f"HTTP {status}")
    if code in CODES:
        return CODES[code]
    if status == 429:
        return CODES[20429]
    return Outcome("failed", None, "permanent", f"{code or ''} HTTP {status}".strip())
