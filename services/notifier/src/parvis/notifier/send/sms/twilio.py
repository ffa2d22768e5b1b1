"""A text and a number in, one call of Twilio's Messages API, its outcome out; and what its list knows of a message."""

from base64 import b64encode
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import quote, urlsplit, urlunsplit

import aiohttp
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from parvis.common.contract.errors import Unavailable
from parvis.notifier.models.delivery import Delivery, ProviderMessage, SendOutcome

# Twilio's code → (our outcome, failure class): their words. Source: Twilio docs, "Error and warning dictionary".
CODES: dict[int, SendOutcome] = {
    20003: SendOutcome("retry", None, "temporary", "20003 authenticate"),  # ours to mend: the account or its token
    20429: SendOutcome("retry", None, "temporary", "20429 too many requests"),
    21211: SendOutcome("failed", None, "permanent", "21211 invalid To number"),
    21214: SendOutcome("failed", None, "unreachable", "21214 To number cannot be reached"),
    21408: SendOutcome("failed", None, "refused", "21408 no permission for the region"),
    21610: SendOutcome("failed", None, "opted-out", "21610 unsubscribed recipient"),
    21612: SendOutcome("failed", None, "unreachable", "21612 To and From do not go together"),
    21614: SendOutcome("failed", None, "permanent", "21614 not a mobile number"),
    21617: SendOutcome("failed", None, "too-long", "21617 over 1600 characters"),
    30003: SendOutcome("failed", None, "unreachable", "30003 handset switched off or away"),
    30004: SendOutcome("failed", None, "refused", "30004 blocked"),
    30005: SendOutcome("failed", None, "permanent", "30005 unknown handset"),
    30006: SendOutcome("failed", None, "permanent", "30006 landline or unreachable carrier"),
    30007: SendOutcome("failed", None, "refused", "30007 filtered by the carrier"),
    30022: SendOutcome("retry", None, "temporary", "30022 rate of the sender exceeded"),
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


# Twilio's word for a message in its list → how far it got. What is still on its way is accepted.
STATUS: dict[str, Literal["accepted", "delivered", "undelivered", "failed"]] = {
    "delivered": "delivered", "read": "delivered", "undelivered": "undelivered", "failed": "failed", "canceled": "failed",
}  # fmt: skip
_WINDOW = timedelta(minutes=5)  # their clock and ours
_PAGE = 100


class Twilio:
    """Twilio's Messages API, by the official client."""

    name = "twilio"
    is_polled = False

    def __init__(
        self, *, account_sid: str, auth_token: str, base_url: str, public_url: str, timeout_s: float, most: int
    ) -> None:
        self._http = _Http(base_url=base_url, timeout_s=timeout_s, most=most)
        # Now, not at the first message: the client imports its whole API when it is first asked for, 0.7 s in the loop's way.
        self._messages = Client(account_sid, auth_token, http_client=self._http).messages
        self._public_url = public_url

    async def send(self, delivery: Delivery, text: str, sender: str) -> SendOutcome:
        """One POST, once. A sender that is a messaging service (MG…) chooses the number itself."""
        by = {"messaging_service_sid": sender} if sender.startswith("MG") else {"from_": sender}
        callback = f"{self._public_url}/sms/status?reply={quote(delivery.reply_id)}"
        try:
            message: Any = await self._messages.create_async(
                to=delivery.address, body=text, status_callback=callback, **by
            )
        except TwilioRestException as refusal:
            return outcome_of(int(refusal.status), refusal.code)
        except _NEVER_LEFT as error:
            return SendOutcome("retry", None, "temporary", type(error).__name__)
        except (TimeoutError, aiohttp.ClientError, TwilioException, OSError, ValueError) as error:
            return SendOutcome("unknown", None, "temporary", f"no answer: {type(error).__name__}")
        return SendOutcome("accepted", message.sid)

    async def find(self, delivery: Delivery, text: str) -> list[ProviderMessage]:
        """Ask the list of messages to this number since the reservation; ours is the one with our text, or our reference.

        Raises: Unavailable.
        """
        since = (delivery.first_reserved_at or delivery.send_at) - _WINDOW
        try:
            listed: list[Any] = await self._messages.list_async(
                to=delivery.address, date_sent_after=since, limit=_PAGE, page_size=_PAGE
            )
        except (TimeoutError, aiohttp.ClientError, TwilioException, OSError, ValueError) as error:
            raise Unavailable(f"Twilio's list does not answer: {type(error).__name__}") from error
        to_them = [m for m in listed if str(m.direction).startswith("outbound")]
        ours = [m for m in to_them if m.body == text] or [m for m in to_them if delivery.reference in (m.body or "")]
        return [_found(message) for message in ours]

    async def close(self) -> None:
        await self._http.close()


def _found(message: Any) -> ProviderMessage:
    state = STATUS.get(str(message.status), "accepted")
    code = message.error_code if state in {"undelivered", "failed"} else None
    known = CODES.get(int(code)) if code else None
    failure_class = (known.failure_class if known else "temporary") if code else None
    return ProviderMessage(state, Twilio.name, str(message.sid), failure_class, str(code or ""))


def outcome_of(status: int, code: int | None) -> SendOutcome:
    """What a refusal of the API means. A 4xx is definite; after a 5xx the message may have been sent all the same."""
    if status >= 500:
        return SendOutcome("unknown", None, "temporary", f"HTTP {status}")
    if code in CODES:
        return CODES[code]
    if status == 429:
        return CODES[20429]
    # A code that is not in the table says nothing about the address: nobody loses one by our ignorance.
    return SendOutcome("failed", None, "refused", f"{code or ''} HTTP {status}".strip())
