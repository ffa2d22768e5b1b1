"""Logs people in at an OpenID Connect provider: authorization code with state, nonce and PKCE; logout at the provider."""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.clock import Clock
from parvis.common.runtime.clock import now as wall_clock
from parvis.web.oidc import verification
from parvis.web.oidc.provider_config import LoginRefused, OidcProviderConfig

_METADATA_AGE_S = 3600
_KEYS_AGE_S = 30  # a token with an unknown key has the keys read anew, and not more often than this
_TIMEOUT_S = 10.0
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")


@dataclass(frozen=True)
class LoginAttempt:
    """What is remembered of a login until the browser comes back. It is used once."""

    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True)
class OidcIdentity:
    """Who logged in: `subject` is theirs at this issuer for good, unlike their mail address."""

    issuer: str
    subject: str
    claims: Mapping[str, Any]
    id_token: str


@dataclass
class RelyingParty:
    """A town as the client of one provider."""

    provider: OidcProviderConfig
    clock: Clock = wall_clock
    http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(timeout=_TIMEOUT_S))
    _metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    _metadata_at: float = -_METADATA_AGE_S
    _keys: KeySet | None = None
    _keys_at: float = -_METADATA_AGE_S
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def begin(self) -> tuple[str, LoginAttempt]:
        """The address to send the browser to, and what to remember. Raises: Unavailable."""
        metadata = await self._read_metadata()
        # 64 alphanumerics satisfy every provider we know: 32 characters at least for ProConnect, 22 for FranceConnect.
        attempt = LoginAttempt(secrets.token_hex(32), secrets.token_hex(32), secrets.token_urlsafe(48))
        provider = self.provider
        query = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": provider.redirect_uri,
            "scope": " ".join(provider.scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
        }
        if provider.pkce:
            query |= {"code_challenge": code_challenge(attempt.code_verifier), "code_challenge_method": "S256"}
        if provider.acr:
            query["claims"] = json.dumps({"id_token": {"acr": {"essential": True, "values": list(provider.acr)}}})
        return f"{metadata['authorization_endpoint']}?{urlencode(query)}", attempt

    async def finish(self, answer: Mapping[str, str], attempt: LoginAttempt) -> OidcIdentity:
        """Turn what the browser brought back into an identity.

        Shape:  `answer` is the query of the redirect; `attempt` what `begin` gave, which the caller forgets before it asks.
        Raises: LoginRefused, with a code; Unavailable.
        """
        if not hmac.compare_digest(answer.get("state", "").encode(), attempt.state.encode()):
            raise LoginRefused("state")
        metadata = await self._read_metadata()
        if answer.get("iss", self.provider.issuer) != self.provider.issuer:
            raise LoginRefused("issuer")
        if "error" in answer:
            raise LoginRefused("cancelled" if answer["error"] == "access_denied" else "provider")
        tokens = await self._exchange(metadata, answer.get("code", ""), attempt)
        id_token, access_token = str(tokens.get("id_token", "")), str(tokens.get("access_token", ""))
        algorithm, claims = await self._read_signed(id_token)
        verification.check_id_token(claims, self.provider, attempt.nonce, self.clock())
        verification.check_access_token_hash(claims, access_token, algorithm)
        userinfo = await self._read_userinfo(metadata, access_token, str(claims["sub"]))
        everything = {**userinfo, **claims}
        verification.check_required_claims(everything, self.provider)
        return OidcIdentity(self.provider.issuer, str(claims["sub"]), everything, id_token)

    def logout_url(self, id_token: str) -> str | None:
        """Where the browser ends the session at the provider. None if the provider has no such page, or is not known yet."""
        page = self._metadata.get("end_session_endpoint")
        query = {
            "id_token_hint": id_token,
            "post_logout_redirect_uri": self.provider.post_logout_redirect_uri,
            "state": secrets.token_hex(32),
        }
        return f"{page}?{urlencode(query)}" if page else None

    async def close(self) -> None:
        await self.http.aclose()

    async def _exchange(self, metadata: Mapping[str, Any], code: str, attempt: LoginAttempt) -> Mapping[str, Any]:
        provider = self.provider
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": provider.redirect_uri}
        if provider.pkce:
            form["code_verifier"] = attempt.code_verifier
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_post" in methods:
            form |= {"client_id": provider.client_id, "client_secret": provider.client_secret}
            answered = await self._ask("POST", metadata["token_endpoint"], data=form)
        else:
            login = httpx.BasicAuth(provider.client_id, provider.client_secret)
            answered = await self._ask("POST", metadata["token_endpoint"], data=form, auth=login)
        if answered.status_code != 200:
            raise LoginRefused("code")
        return _json_object(answered)

    async def _read_userinfo(self, metadata: Mapping[str, Any], access_token: str, subject: str) -> Mapping[str, Any]:
        answered = await self._ask(
            "GET", metadata["userinfo_endpoint"], headers={"authorization": f"Bearer {access_token}"}
        )
        if answered.status_code != 200:
            raise LoginRefused("userinfo")
        is_signed = answered.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/jwt"
        if not is_signed and self.provider.signed_userinfo:
            raise LoginRefused("userinfo_unsigned")
        claims = (await self._read_signed(answered.text))[1] if is_signed else _json_object(answered)
        verification.check_userinfo(claims, self.provider, subject, self.clock(), is_signed=is_signed)
        return claims

    async def _read_signed(self, token: str) -> tuple[str, Mapping[str, Any]]:
        """Verify with the keys at hand, then once more with keys read anew: providers change them without notice."""
        try:
            return verification.read_signed(token, await self._read_keys(), self.provider)
        except LoginRefused:
            if time.monotonic() - self._keys_at < _KEYS_AGE_S:
                raise
            return verification.read_signed(token, await self._read_keys(is_new=True), self.provider)

    async def _read_metadata(self) -> Mapping[str, Any]:
        """The discovery document. Raises: Unavailable, also when it is another issuer's or lacks an endpoint."""
        async with self._lock:
            if time.monotonic() - self._metadata_at < _METADATA_AGE_S:
                return self._metadata
            address = f"{self.provider.issuer.rstrip('/')}/.well-known/openid-configuration"
            read = _json_object(await self._ask("GET", address))
            if read.get("issuer") != self.provider.issuer or not all(isinstance(read.get(n), str) for n in _ENDPOINTS):
                raise Unavailable("the discovery document is not the one of the issuer in the settings")
            self._metadata, self._metadata_at = read, time.monotonic()
            return read

    async def _read_keys(self, *, is_new: bool = False) -> KeySet:
        metadata = await self._read_metadata()
        async with self._lock:
            if self._keys is None or is_new or time.monotonic() - self._keys_at > _METADATA_AGE_S:
                read: Any = _json_object(await self._ask("GET", metadata["jwks_uri"]))
                try:
                    self._keys = KeySet.import_key_set(read)
                except (JoseError, ValueError, KeyError, TypeError) as error:
                    raise Unavailable("the provider's keys cannot be read") from error
                self._keys_at = time.monotonic()
            return self._keys

    async def _ask(self, method: str, address: str, **request: Any) -> httpx.Response:
        try:
            return await self.http.request(method, address, **request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable("the identity provider does not answer") from error


def code_challenge(verifier: str) -> str:
    """RFC 7636, section 4.2, S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _json_object(answered: httpx.Response) -> dict[str, Any]:
    try:
        read: Any = answered.json()
    except ValueError:
        read = None
    if answered.status_code != 200 or not isinstance(read, dict):
        raise Unavailable("the identity provider gave no JSON object")
    return read
