"""Signs what a page sends back to us and verifies it: one-time form tokens, CSRF tokens and values. Pure; no I/O.

Nothing here is encrypted. itsdangerous is not used: it signs values with a time stamp, but the seed of a
one-time token, which the contact id is derived from, and the CSRF token's binding to a session would still be ours, and its default
digest is SHA-1. What is left of it is one call of `hmac`.
"""

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
    """A verified one-time token. Ids derived from its seed are the same however often the form is sent."""

    seed: str
    issued_at: datetime
    text: str = ""

    def is_older_than(self, age: timedelta, now: datetime) -> bool:
        return now - self.issued_at > age


def make_one_time_token(purpose: str, key: bytes, now: datetime, *, seed: str | None = None) -> str:
    """A token for a form that is shown once: random seed, instant, and an HMAC over both and the purpose."""
    body = f"{seed or uuid.uuid4()}.{int(now.timestamp())}"
    return f"{body}.{_mac('once', purpose, body, key)}"


def read_one_time_token(text: str, purpose: str, key: bytes) -> OneTimeToken | None:
    """The token; None if we did not sign it for this purpose. The caller decides whether it is too old."""
    match = _ONE_TIME_TOKEN.match(text)
    if not match or not hmac.compare_digest(_mac("once", purpose, f"{match[1]}.{match[2]}", key), match[3]):
        return None
    return OneTimeToken(seed=match[1], issued_at=datetime.fromtimestamp(int(match[2]), UTC), text=text)


def make_csrf_token(binding: str, key: bytes, now: datetime) -> str:
    """A token that proves that a form came from a page of ours.

    Shape:  `binding` is the id of the session, or the name of the form if there is no session.
    """
    issued = str(int(now.timestamp()))
    return f"{issued}.{_mac('csrf', binding, issued, key)}"


def is_valid_csrf_token(text: str, binding: str, key: bytes, now: datetime, *, lasts: timedelta) -> bool:
    issued, _, mac = text.partition(".")
    if not issued.isascii() or not issued.isdigit() or len(issued) > 12:
        return False
    is_signed = hmac.compare_digest(_mac("csrf", binding, issued, key).encode(), mac.encode("utf-8", "replace"))
    # Only after the check of the signature: an instant that we did not write may be out of range.
    return is_signed and now - datetime.fromtimestamp(int(issued), UTC) <= lasts


def sign_values(values: dict[str, Any], purpose: str, key: bytes) -> str:
    """JSON values with a signature: the browser stores them for us; it can read them but not change them."""
    body = base64.urlsafe_b64encode(json.dumps(values, separators=(",", ":")).encode()).decode()
    return f"{body}.{_mac('seal', purpose, body, key)}"


def read_signed_values(text: str, purpose: str, key: bytes) -> dict[str, Any] | None:
    """The values; None if we did not sign them for this purpose."""
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
