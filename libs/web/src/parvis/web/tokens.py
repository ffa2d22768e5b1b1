"""What we wrote into a page, recognised when it comes back: one-time form tokens, CSRF tokens, signed values. Pure; no I/O."""

import base64
import binascii
import hashlib
import hmac
import json
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

_ONE_TIME_TOKEN = re.compile(r"^([0-9a-f-]{36})\.([0-9]{1,12})\.([0-9a-f]{32})$")


@dataclass(frozen=True)
class OneTimeToken:
    """A one-time token that came back: what it seeds is the same however often it is sent."""

    seed: str
    issued_at: datetime
    text: str = ""

    def is_older_than(self, age: timedelta, now: datetime) -> bool:
        return now - self.issued_at > age


def make_one_time_token(purpose: str, key: bytes, now: datetime, *, seed: str | None = None) -> str:
    """A token for one form shown once: random seed, instant, HMAC over both and the purpose."""
    body = f"{seed or uuid.uuid4()}.{int(now.timestamp())}"
    return f"{body}.{_mac('once', purpose, body, key)}"


def read_one_time_token(text: str, purpose: str, key: bytes) -> OneTimeToken | None:
    """The token, when we signed it for this purpose; its age is the caller's to judge."""
    match = _ONE_TIME_TOKEN.match(text)
    if not match or not hmac.compare_digest(_mac("once", purpose, f"{match[1]}.{match[2]}", key), match[3]):
        return None
    return OneTimeToken(seed=match[1], issued_at=datetime.fromtimestamp(int(match[2]), UTC), text=text)


def make_csrf_token(binding: str, key: bytes, now: datetime) -> str:
    """A token for the forms of one session or page: proves that the form was ours.

    Shape: binding is the session's id where there is a session, else the name of the form.
    """
    issued = str(int(now.timestamp()))
    return f"{issued}.{_mac('csrf', binding, issued, key)}"


def is_valid_csrf_token(text: str, binding: str, key: bytes, now: datetime, *, lasts: timedelta) -> bool:
    issued, _, mac = text.partition(".")
    if not issued.isascii() or not issued.isdigit() or len(issued) > 12:
        return False
    ours = hmac.compare_digest(_mac("csrf", binding, issued, key).encode(), mac.encode("utf-8", "replace"))
    # An instant that we did not write may be no instant at all.
    return ours and now - datetime.fromtimestamp(int(issued), UTC) <= lasts


def sign_values(values: dict[str, Any], purpose: str, key: bytes) -> str:
    """Values that a browser keeps for us and cannot change (it can read them)."""
    body = base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode()
    return f"{body}.{_mac('seal', purpose, body, key)}"


def read_signed_values(text: str, purpose: str, key: bytes) -> dict[str, Any] | None:
    """The sealed values; none when we did not seal them for this purpose."""
    body, _, mac = text.partition(".")
    if not hmac.compare_digest(_mac("seal", purpose, body, key).encode(), mac.encode("utf-8", "replace")):
        return None
    try:
        return json.loads(base64.urlsafe_b64decode(body.encode()))
    except (ValueError, binascii.Error):
        return None


def _mac(use: str, purpose: str, body: str, key: bytes) -> str:
    message = "\x1f".join((use, purpose, body)).encode("utf-8", "replace")
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:32]
