"""Tests that a login is accepted only with the provider's own signature, for this client, this browser's request, and now."""

import base64
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwk, jwt

from parvis.common.contract.errors import Unavailable
from parvis.common.testing import AN_INSTANT
from parvis.web.oidc.provider_config import LoginRefused, OidcProviderConfig, for_proconnect
from parvis.web.oidc.relying_party import LoginAttempt, RelyingParty, code_challenge

ISSUER = "https://id.town.example"
PROVIDER = OidcProviderConfig(ISSUER, "desk", "a secret", "https://desk.example/return", "https://desk.example/login")
KEY, FOREIGN_KEY = (jwk.ECKey.generate_key("P-256", {"kid": "k1"}) for _ in range(2))


def encode(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


@dataclass
class Provider:
    """A provider that says what a test wants, truthful by default."""

    id_token: dict[str, Any] = field(default_factory=dict[str, Any])
    userinfo: dict[str, Any] = field(default_factory=dict[str, Any])
    header: dict[str, str] = field(default_factory=lambda: {"alg": "ES256", "kid": "k1"})
    key: Any = field(default_factory=lambda: KEY)
    is_userinfo_signed: bool = True
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    nonce: str = ""
    forms: list[dict[str, list[str]]] = field(default_factory=list[dict[str, list[str]]])
    published: list[Any] = field(default_factory=lambda: [KEY])

    def answer(self, request: httpx.Request) -> httpx.Response:
        match request.url.path:
            case "/.well-known/openid-configuration":
                return httpx.Response(200, json=self._discovery())
            case "/jwks":
                return httpx.Response(200, json={"keys": [key.as_dict(private=False) for key in self.published]})
            case "/token":
                self.forms.append(parse_qs(request.content.decode()))
                claims = self._base() | {"nonce": self.nonce, "acr": "eidas2"} | self.id_token
                return httpx.Response(200, json={"access_token": "at", "id_token": self._sign(claims)})
            case _:
                claims = self._base() | {"email": "camille@town.example"} | self.userinfo
                if not self.is_userinfo_signed:
                    return httpx.Response(200, json=claims)
                return httpx.Response(200, text=self._sign(claims), headers={"content-type": "application/jwt"})

    def _discovery(self) -> dict[str, Any]:
        names = {
            "authorization_endpoint": "auth",
            "token_endpoint": "token",
            "userinfo_endpoint": "me",
            "jwks_uri": "jwks",
            "end_session_endpoint": "end",
        }
        return {"issuer": ISSUER} | {name: f"{ISSUER}/{path}" for name, path in names.items()} | self.metadata

    def _base(self) -> dict[str, Any]:
        now = int(AN_INSTANT.timestamp())
        return {"iss": ISSUER, "aud": "desk", "sub": "camille", "iat": now, "exp": now + 60}

    def _sign(self, claims: dict[str, Any]) -> str:
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.header["alg"] in ("none", "HS256"):
            body = ".".join(encode(json.dumps(part).encode()) for part in (self.header, claims))
            mac = hmac.digest(self.key, body.encode(), "sha256") if self.header["alg"] == "HS256" else b""
            return f"{body}.{encode(mac)}"
        return jwt.encode(self.header, claims, self.key, algorithms=["ES256"])


def client_of(provider: Provider, settings: OidcProviderConfig = PROVIDER) -> RelyingParty:
    def clock() -> datetime:
        return AN_INSTANT + timedelta(seconds=5)

    http = httpx.AsyncClient(transport=httpx.MockTransport(provider.answer))
    return RelyingParty(settings, clock, http)


async def log_in(provider: Provider, settings: OidcProviderConfig = PROVIDER, **answer: str) -> Any:
    party = client_of(provider, settings)
    _, attempt = await party.begin()
    provider.nonce = attempt.nonce
    return await party.finish({"state": attempt.state, "code": "c"} | answer, attempt)


async def test_a_truthful_login_gives_the_subject_and_all_claims() -> None:
    identity = await log_in(Provider())

    assert (identity.issuer, identity.subject, identity.claims["email"]) == (ISSUER, "camille", "camille@town.example")


async def test_the_request_carries_state_nonce_and_a_challenge_whose_verifier_goes_to_the_token_endpoint() -> None:
    provider = Provider()
    party = client_of(provider, replace(PROVIDER, acr=("eidas2",)))
    address, attempt = await party.begin()
    query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    provider.nonce = attempt.nonce
    await party.finish({"state": attempt.state, "code": "c"}, attempt)

    assert (query["state"], query["nonce"]) == (attempt.state, attempt.nonce)
    assert min(len(query["state"]), len(query["nonce"])) == 64
    assert query["code_challenge"] == code_challenge(provider.forms[0]["code_verifier"][0])
    assert json.loads(query["claims"]) == {"id_token": {"acr": {"essential": True, "values": ["eidas2"]}}}


NOW = int(AN_INSTANT.timestamp())
LIES: dict[str, tuple[Callable[[], Provider], str]] = {
    "nonce": (lambda: Provider(id_token={"nonce": "another"}), "nonce"),
    "no nonce": (lambda: Provider(id_token={"nonce": None}), "nonce"),
    "issuer": (lambda: Provider(id_token={"iss": "https://other.example"}), "issuer"),
    "audience": (lambda: Provider(id_token={"aud": "another"}), "audience"),
    "several audiences": (lambda: Provider(id_token={"aud": ["desk", "another"]}), "audience"),
    "authorized party": (lambda: Provider(id_token={"azp": "another"}), "audience"),
    "expired": (lambda: Provider(id_token={"exp": NOW - 60}), "expired"),
    "no expiry": (lambda: Provider(id_token={"exp": None}), "expired"),
    "from the future": (lambda: Provider(id_token={"iat": NOW + 3600}), "issued_in_future"),
    "no subject": (lambda: Provider(id_token={"sub": None}), "subject"),
    "access token of another": (lambda: Provider(id_token={"at_hash": "AAAA"}), "access_token"),
    "algorithm none": (lambda: Provider(header={"alg": "none"}), "signature"),
    "HS256 with the secret": (
        lambda: Provider(header={"alg": "HS256"}, key=b"a secret"),
        "signature",
    ),
    "HS256 with the public key": (
        lambda: Provider(header={"alg": "HS256", "kid": "k1"}, key=KEY.as_pem(private=False)),
        "signature",
    ),
    "another key": (lambda: Provider(key=FOREIGN_KEY), "signature"),
    "unknown key id": (lambda: Provider(header={"alg": "ES256", "kid": "k9"}), "signature"),
    "userinfo of another": (lambda: Provider(userinfo={"sub": "another"}), "userinfo_subject"),
    "userinfo of another issuer": (lambda: Provider(userinfo={"iss": "https://other.example"}), "issuer"),
    "userinfo for another client": (lambda: Provider(userinfo={"aud": "another"}), "audience"),
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_refused(lie: str) -> None:
    provider, code = LIES[lie][0](), LIES[lie][1]

    with pytest.raises(LoginRefused, match=f"^{code}$"):
        await log_in(provider)


async def test_another_state_and_an_error_of_the_provider_are_refused_before_any_code_is_used() -> None:
    provider = Provider()
    for answer, code in (
        ({"state": "another"}, "state"),
        ({"iss": "https://other.example"}, "issuer"),
        ({"error": "access_denied"}, "cancelled"),
        ({"error": "server_error"}, "provider"),
    ):
        with pytest.raises(LoginRefused, match=f"^{code}$"):
            await log_in(provider, PROVIDER, **answer)

    assert provider.forms == []


async def test_what_the_town_requires_is_checked_whatever_the_provider_was_asked() -> None:
    strict = replace(PROVIDER, acr=("eidas2",), amr=("mfa",), required={"siret": frozenset({"21000000000010"})})
    stated: dict[str, Any] = {"amr": ["pwd", "mfa"], "siret": "21000000000010"}

    assert (await log_in(Provider(id_token=stated), strict)).subject == "camille"
    for name, value, code in (("acr", "eidas1", "acr"), ("amr", ["pwd"], "amr"), ("siret", "2", "claim_siret")):
        with pytest.raises(LoginRefused, match=f"^{code}$"):
            await log_in(Provider(id_token=stated | {name: value}), strict)


async def test_proconnect_gets_no_parameter_that_it_does_not_know_and_must_sign_userinfo() -> None:
    settings = for_proconnect(PROVIDER)
    address, _ = await client_of(Provider(), settings).begin()

    assert set(parse_qs(urlsplit(address).query)) == {
        "response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "claims",
    }  # fmt: skip
    with pytest.raises(LoginRefused, match=r"^userinfo_unsigned$"):
        await log_in(Provider(is_userinfo_signed=False), settings)
    assert (await log_in(Provider(is_userinfo_signed=False))).subject == "camille"


async def test_keys_that_the_provider_changed_are_read_anew() -> None:
    provider = Provider(published=[FOREIGN_KEY])
    party = client_of(provider)
    with pytest.raises(LoginRefused):
        await party.finish({"state": "s", "code": "c"}, LoginAttempt("s", "", "v"))
    provider.published = [KEY]
    party._keys_at -= 31  # pyright: ignore[reportPrivateUsage] (half a minute later)

    assert (await party.finish({"state": "s", "code": "c"}, LoginAttempt("s", "", "v"))).subject == "camille"


@pytest.mark.parametrize("metadata", [{"issuer": "https://other.example"}, {"token_endpoint": None}])
async def test_a_discovery_document_of_another_issuer_is_not_used(metadata: dict[str, Any]) -> None:
    with pytest.raises(Unavailable):
        await client_of(Provider(metadata=metadata)).begin()


async def test_the_logout_names_the_session_and_where_to_return() -> None:
    party = client_of(Provider())
    await party.begin()
    query = parse_qs(urlsplit(party.logout_url("the id token") or "").query)

    assert (query["id_token_hint"], query["post_logout_redirect_uri"]) == (
        ["the id token"],
        ["https://desk.example/login"],
    )
    assert query["state"]
