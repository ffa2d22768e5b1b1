"""Verifies X-Twilio-Signature over the configured URL and the raw request; never trusts Host or X-Forwarded-*."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from twilio.request_validator import RequestValidator

from parvis.common.contract.errors import Rejected

SignedFields = Sequence[tuple[str, str]]
_BODY_HASH = "bodySHA256"


class Forged(Rejected):
    """The request was not signed with a token of ours."""


class _FormParameters:
    """The form in the interface that twilio's validator expects: a parameter may occur twice."""

    def __init__(self, form: SignedFields) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in form:
            self._values.setdefault(name, []).append(value)

    def __iter__(self):
        return iter(self._values)

    def getall(self, name: str) -> list[str]:
        return self._values[name]


@dataclass(frozen=True)
class SignedRequest:
    """The raw parts of a request that a signature covers."""

    raw_path: bytes
    query: bytes = b""
    body: bytes = b""
    form: SignedFields = ()


class SignatureVerifier:
    """Verifies `X-Twilio-Signature`.

    Shape:  the URL is the configured public URL with the raw path and query of the request. Host and X-Forwarded-* are not
            used: the sender chooses them, and many proxies change them.
            `tokens` by account: the current one and, during a rotation, the previous one. Twilio signs the webhooks of a
            sub-account's number with the sub-account's own token.
    Raises: Forged, without a signature, for an unknown account, or when no token of the account gives this signature.
    Retry:  a signature has no time and no nonce: a replay has the same MessageSid, hence the same contact id.
    Source: Twilio docs, "Webhooks security". Two faults of twilio 9.13's validator are avoided: it raises without a header,
            and with bodySHA256 in the URL it accepts any form without checking the body.
    """

    def __init__(self, public_url: str, tokens: Mapping[str, Sequence[str]]) -> None:
        self._public_url = public_url.rstrip("/")
        self._validators = {account: [RequestValidator(token) for token in known] for account, known in tokens.items()}

    def verify(self, signature: str | None, request: SignedRequest, *, account: str) -> None:
        if not signature:
            raise Forged("no signature")
        validators = self._validators.get(account)
        if not validators:
            raise Forged("unknown account")
        query = request.query.decode("latin-1")
        url = self._public_url + request.raw_path.decode("latin-1") + (f"?{query}" if query else "")
        expected = next((value for name, value in parse_qsl(query) if name == _BODY_HASH), None) if query else None
        if expected is not None and not _is_hash_of(expected, request.body):
            raise Forged("the body does not match bodySHA256")
        # With bodySHA256 the signature covers the hash of the body instead of the fields.
        parameters = _FormParameters(request.form if expected is None else ())
        if not any(_matches(validator, url, parameters, signature) for validator in validators):
            raise Forged("no token of the account gives this signature")


def _is_hash_of(expected: str, body: bytes) -> bool:
    return hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), expected.lower().encode("utf-8", "replace"))


def _matches(validator: RequestValidator, url: str, parameters: _FormParameters, signature: str) -> bool:
    """Whether the signature is valid for this URL or for another spelling of it.

    Twilio signs with or without the port, and with a bare or an encoded apostrophe in the query (twilio-node, webhooks.spec.js).
    """
    given = signature.encode("utf-8", "replace")
    if hmac.compare_digest(str(validator.compute_signature(url, parameters)).encode(), given):
        return True
    spellings = {url, url.replace("%27", "'"), url.replace("'", "%27")}
    return any(validator.validate(spelling, parameters, signature) for spelling in spellings)
