"""Sends text messages through a plain HTTP gateway, and queries their status there."""

from typing import Any, Literal

import aiohttp

from parvis.common.contract.delivery import FailureClass
from parvis.common.contract.errors import Unavailable
from parvis.notifier.models.delivery import Delivery, ProviderMessage, SendOutcome

# The gateway's error → our failure class. Other errors are `refused`: they say nothing about the address.
ERRORS: dict[str, FailureClass] = {
    "invalid-number": "permanent",
    "unknown-subscriber": "permanent",
    "opted-out": "opted-out",
    "absent-subscriber": "unreachable",
    "too-long": "too-long",
    "expired": "unreachable",
    "rejected": "refused",
}
STATUS: dict[str, Literal["accepted", "delivered", "undelivered", "failed"]] = {
    "queued": "accepted", "sent": "accepted", "delivered": "delivered", "undelivered": "undelivered", "failed": "failed",
}  # fmt: skip
_NEVER_LEFT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


class HttpGateway:
    """A gateway with `POST /messages`, which takes our own id, and `GET /messages/<id>`, which gives the status.

    Our id makes a second POST harmless: the gateway answers 409. It has no callbacks, so it is polled.
    """

    name = "gateway"
    is_polled = True

    def __init__(self, *, url: str, token: str, timeout_s: float, most: int) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            headers={"Authorization": f"Bearer {token}"},
            connector=aiohttp.TCPConnector(limit=most, keepalive_timeout=4),
        )

    async def send(self, delivery: Delivery, text: str, sender: str) -> SendOutcome:
        """Make one POST, without retries."""
        message = {"id": delivery.delivery_id, "to": delivery.address, "from": sender, "text": text}
        try:
            async with self._session.post(f"{self._url}/messages", json=message, allow_redirects=False) as answer:
                return outcome_of(answer.status, await _error_word(answer), delivery.delivery_id)
        except _NEVER_LEFT as error:
            return SendOutcome("retry", None, "temporary", type(error).__name__)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return SendOutcome("unknown", None, "temporary", f"no answer: {type(error).__name__}")

    async def find(self, delivery: Delivery, text: str) -> list[ProviderMessage]:  # noqa: ARG002 (our id is enough)
        """Raises: Unavailable."""
        try:
            async with self._session.get(f"{self._url}/messages/{delivery.delivery_id}") as answer:
                if answer.status == 404:
                    return []
                if answer.status != 200:
                    raise Unavailable(f"the gateway answers {answer.status}")
                body: Any = await answer.json()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"the gateway does not answer: {type(error).__name__}") from error
        state = STATUS.get(str(body.get("status")), "accepted")
        word = str(body.get("error") or "")
        failure_class = ERRORS.get(word, "refused") if state in {"undelivered", "failed"} else None
        return [ProviderMessage(state, self.name, delivery.delivery_id, failure_class, word[:40])]

    async def close(self) -> None:
        await self._session.close()


def outcome_of(status: int, word: str, message_id: str) -> SendOutcome:
    """The outcome of an answer; 409 is the same message a second time."""
    if status in {200, 201, 202, 409}:
        return SendOutcome("accepted", message_id)
    if status in {429, 503}:
        return SendOutcome("retry", None, "temporary", f"HTTP {status}")
    if status >= 500:
        return SendOutcome("unknown", None, "temporary", f"HTTP {status}")
    if status in {401, 403}:
        return SendOutcome(
            "retry", None, "temporary", f"HTTP {status}: the gateway's token"
        )  # our configuration is at fault
    return SendOutcome("failed", None, ERRORS.get(word, "refused"), f"{word[:40]} HTTP {status}".strip())


async def _error_word(answer: aiohttp.ClientResponse) -> str:
    try:
        body: Any = await answer.json(content_type=None)
    except ValueError:
        return ""
    return str(body.get("error") or "") if isinstance(body, dict) else ""  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
