"""Posts signed webhooks to the town with Twilio's time-outs and retries.

Source: Twilio docs, "Webhooks (HTTP callbacks): connection overrides" (`#ct=…&rt=…&tt=…&rc=…&rp=…` behind the URL).
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urldefrag

import httpx
from twilio.request_validator import RequestValidator

from parvis.simulators.twilio.messages import WebhookAttempt

_FORGED = "Zm9yZ2VkIHNpZ25hdHVyZSEhISE="


@dataclass(frozen=True, slots=True)
class ConnectionOverrides:
    connect_s: float = 5
    read_s: float = 15
    total_s: float = 15
    retries: int = 1
    policy: frozenset[str] = frozenset({"ct"})

    @classmethod
    def of(cls, url: str) -> "ConnectionOverrides":
        """Parse the overrides in the URL's fragment; a value out of Twilio's range is ignored."""
        parameters = dict(parse_qsl(urldefrag(url).fragment))

        def number(name: str, default: int, least: int, most: int) -> int:
            text = parameters.get(name, "")
            return int(text) if text.isascii() and text.isdigit() and least <= int(text) <= most else default

        return cls(
            connect_s=number("ct", 5000, 100, 10_000) / 1000,
            read_s=number("rt", 15_000, 100, 15_000) / 1000,
            total_s=number("tt", 15_000, 100, 15_000) / 1000,
            retries=number("rc", 1, 0, 5),
            policy=frozenset(parameters.get("rp", "ct").split(",")),
        )

    def allow_retry_after(self, attempt: WebhookAttempt) -> bool:
        if attempt.status is None:
            kind = "rt" if attempt.error == "read time-out" else "ct"
        else:
            kind = f"{attempt.status // 100}xx"
        return kind != "2xx" and (kind in self.policy or "all" in self.policy)


def is_delivered(attempts: list[WebhookAttempt]) -> bool:
    """Whether the last response was a 2xx."""
    return bool(attempts) and attempts[-1].status is not None and 200 <= attempts[-1].status < 300


class WebhookSender:
    """Posts Twilio's webhook forms to the town."""

    def __init__(self, token: str, proxies: Mapping[str, str]) -> None:
        self._validator = RequestValidator(token)
        self._proxies = proxies
        self.ended_attempts = 0  # finished attempts of all messages
        # Without keep-alive: a connection that the town has closed meanwhile would look like a failure of the town.
        self._client = httpx.AsyncClient(
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0, max_connections=500),
            headers={"User-Agent": "TwilioProxy/1.1", "Accept": "*/*"},
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def post(self, url: str, form: Mapping[str, str], *, forge: bool = False) -> list[WebhookAttempt]:
        """Post until the town answers with 2xx or the retries are used up.

        Gives: every attempt; the last one decides. Failures of the town raise nothing.
        """
        overrides, signed = ConnectionOverrides.of(url), urldefrag(url).url
        headers = {
            "X-Twilio-Signature": _FORGED if forge else self._validator.compute_signature(signed, form),
            "I-Twilio-Idempotency-Token": secrets.token_hex(16),
        }
        attempts: list[WebhookAttempt] = []
        ends_at = time.monotonic() + overrides.total_s
        while len(attempts) <= overrides.retries and time.monotonic() < ends_at:
            attempts.append(await self._post_once(signed, form, headers, overrides, ends_at - time.monotonic()))
            self.ended_attempts += 1
            if not overrides.allow_retry_after(attempts[-1]):
                break
        return attempts

    async def _post_once(
        self,
        url: str,
        form: Mapping[str, str],
        headers: Mapping[str, str],
        overrides: ConnectionOverrides,
        left_s: float,
    ) -> WebhookAttempt:
        started_at, started = datetime.now(UTC), time.monotonic()
        status, error, body = None, None, ""
        timeout = httpx.Timeout(overrides.read_s, connect=overrides.connect_s, pool=None)
        try:
            async with asyncio.timeout(left_s):
                answer = await self._client.post(
                    self._behind_proxy(url), data=dict(form), headers=headers, timeout=timeout
                )
            status, body = answer.status_code, answer.text[:2000]
        except (TimeoutError, httpx.ReadTimeout):
            error = "read time-out"
        except httpx.ConnectTimeout:
            error = "connect time-out"
        except httpx.HTTPError as failure:
            error = f"{type(failure).__name__}: {failure}"
        return WebhookAttempt(started_at, url, status, error, round((time.monotonic() - started) * 1000), body)

    def _behind_proxy(self, url: str) -> str:
        for public, local in self._proxies.items():
            if url.startswith(public):
                return local + url.removeprefix(public)
        return url
