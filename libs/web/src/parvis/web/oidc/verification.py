"""Verifies the signed tokens of an OpenID Connect provider and what they claim. Pure; no I/O."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from parvis.web.oidc.provider_config import LoginRefused, OidcProviderConfig

_CLOCK_SKEW = timedelta(seconds=30)
Claims = Mapping[str, Any]


def read_signed(token: str, keys: KeySet, provider: OidcProviderConfig) -> tuple[str, Claims]:
    """The algorithm and claims of a token.

    Raises: LoginRefused, also for a symmetric algorithm or none: only those of the settings are tried.
    """
    try:
        read = jwt.decode(token, keys, algorithms=provider.algorithms)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise LoginRefused("signature") from error
    return str(read.header.get("alg")), read.claims


def check_id_token(claims: Claims, provider: OidcProviderConfig, nonce: str, now: datetime) -> None:
    """Check an ID token. Raises: LoginRefused.

    Source: OpenID Connect Core 1.0, section 3.1.3.7.
    """
    _check_issuer_and_audience(claims, provider)
    if not _is_number(claims.get("exp")) or now - _CLOCK_SKEW >= _instant(claims["exp"], now):
        raise LoginRefused("expired")
    if not _is_number(claims.get("iat")) or _instant(claims["iat"], now) > now + _CLOCK_SKEW:
        raise LoginRefused("issued_in_future")
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise LoginRefused("nonce")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise LoginRefused("subject")
    if provider.acr and claims.get("acr") not in provider.acr:
        raise LoginRefused("acr")
    if provider.amr and not set(provider.amr) & set(_texts(claims.get("amr"))):
        raise LoginRefused("amr")


def check_userinfo(
    claims: Claims, provider: OidcProviderConfig, subject: str, now: datetime, *, is_signed: bool
) -> None:
    """Check what the userinfo endpoint answered. Raises: LoginRefused."""
    if claims.get("sub") != subject:
        raise LoginRefused("userinfo_subject")
    if is_signed:
        _check_issuer_and_audience(claims, provider)
        if "exp" in claims and (not _is_number(claims["exp"]) or now - _CLOCK_SKEW >= _instant(claims["exp"], now)):
            raise LoginRefused("userinfo_expired")


def check_required_claims(claims: Claims, provider: OidcProviderConfig) -> None:
    """Check that the person may enter at all: the provider does not filter. Raises: LoginRefused, with the claim's name."""
    for name, allowed in provider.required.items():
        if not allowed & set(_texts(claims.get(name))):
            raise LoginRefused(f"claim_{name}")


def check_access_token_hash(claims: Claims, access_token: str, algorithm: str) -> None:
    """Check that the access token belongs to the ID token, if that says so. Raises: LoginRefused."""
    stated = claims.get("at_hash")
    if stated is None or algorithm[2:] not in ("256", "384", "512"):
        return
    digest = hashlib.new(f"sha{algorithm[2:]}", access_token.encode()).digest()
    expected = base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=")
    if not hmac.compare_digest(str(stated).encode(), expected):
        raise LoginRefused("access_token")


def _check_issuer_and_audience(claims: Claims, provider: OidcProviderConfig) -> None:
    if claims.get("iss") != provider.issuer:
        raise LoginRefused("issuer")
    audience = _texts(claims.get("aud"))
    if provider.client_id not in audience:
        raise LoginRefused("audience")
    if (len(audience) > 1 or "azp" in claims) and claims.get("azp") != provider.client_id:
        raise LoginRefused("audience")


def _texts(value: object) -> list[str]:
    """The texts of a claim that is one text or a list of them."""
    values: list[object] = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11


def _instant(seconds: float, now: datetime) -> datetime:
    return datetime.fromtimestamp(seconds, now.tzinfo)
