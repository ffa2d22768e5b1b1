"""Verifies passwords (Argon2id) and one-time codes (TOTP, RFC 6238)."""

from datetime import datetime
from functools import cache

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pyotp.totp import TOTP

SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 200
_HASHER = PasswordHasher()  # RFC 9106, second recommended option: 64 MiB, 3 passes
_STEP_S = 30


@cache
def _hash_of_nobody() -> str:
    """Compared with the password of whoever has no account, so that the answer takes as long as for one who has."""
    return _HASHER.hash("nobody has this password")


def hash_password(password: str) -> bytes:
    return _HASHER.hash(password).encode()


def is_password(password: str, stored: bytes | None) -> bool:
    """Whether this is the password; False, after as much work, when there is none."""
    try:
        return _HASHER.verify(stored.decode() if stored else _hash_of_nobody(), password) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def new_totp_secret() -> str:
    return pyotp.random_base32()


def totp_address(secret: str, name: str, town: str) -> str:
    """The address that an authenticator app reads from a QR code."""
    return TOTP(secret).provisioning_uri(name=name, issuer_name=town)


def matching_step(code: str, secret: str, at: datetime, *, after: int) -> int | None:
    """The time step whose code this is: now, one before, or one after. None for a wrong code, and for one used before.

    Source: RFC 6238, section 5.2: a code is accepted once.
    """
    now = int(at.timestamp()) // _STEP_S
    totp = TOTP(secret)
    digits = "".join(code.split())
    found = None
    for step in (now - 1, now, now + 1):
        if totp.verify(digits, for_time=step * _STEP_S) and step > after:
            found = step
    return found
