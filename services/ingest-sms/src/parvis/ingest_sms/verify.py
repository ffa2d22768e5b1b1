"""A webhook and its signature in, proof that Twilio sent it or Forged; the URL is ours, never rebuilt from headers."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from twilio.request_validator import RequestValidator

from parvis.common.contract.errors import Rejected

Form = Sequence[tuple[str, str]]
_BODY_HASH = "bodySHA256"


class Forged(Rejected):
    """Nobody who knows our token sent this."""


class _Parameters:
    """The form as twilio's validator takes it: parameters may come twice."""

    def __init__(self, form: Form) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in form:
            self._values.setdefault(name, []).append(value)

    def __iter__(self):
        return iter(self._values)

    def getall(self, name: str) -> list[str]:
        return self._values[name]


@dataclass(frozen=True)
class Call:
    """What a signature covers, as it came over the wire."""

    raw_path: bytes
    query: bytes = b""
    body: bytes = b""
    form: Form = ()


class Signatures:
    """Checks `X-Twilio-Signature`.

    Shape:  the URL as Twilio was told it: our public one, the raw path and the raw query as they came over the wire.
            Anything rebuilt from Host or X-Forwarded-* is the sender's to choose, and differs behind half the proxies.
            `tokens` by account: the current one and, while it is changed, the one before. Twilio signs what reaches a
            sub-account's number with the sub-account's own token.
    Raises: Forged, without a signature, of an account we do not know, or with one that none of its tokens makes.
    Retry:  a signature has no time and no nonce: a replay is the same MessageSid, hence the same contact.
    Source: Twilio docs, "Webhooks security"; the rule was executed against twilio 9.13's validator, whose traps are passed
            by: it raises without a header, and takes a form with any bodySHA256 in its URL without looking at the body.
    """

    def __init__(self, public_url: str, tokens: Mapping[str, Sequence[str]]) -> None:
        self._public_url = public_url.rstrip("/")
        self._validators = {account: [RequestValidator(token) for token in known] for account, known in tokens.items()}

    def check(self, signature: str | None, call: Call, *, account: str) -> None:
        if not signature:
            raise Forged("no signature")
        validators = self._validators.get(account)
        if not validators:
            raise Forged("no account of ours")
        query = call.query.decode("latin-1")
        url = self._public_url + call.raw_path.decode("latin-1") + (f"?{query}" if query else "")
        expected = next((value for name, value in parse_qsl(query) if name == _BODY_HASH), None) if query else None
        if expected is not None and not _is_hash_of(expected, call.body):
            raise Forged("the body is not the one that was signed")
        # With bodySHA256 the fields are no part of what is signed: the hash stands for all of the body.
        parameters = _Parameters(call.form if expected is None else ())
        if not any(_fits(validator, url, parameters, signature) for validator in validators):
            raise Forged("signature does not fit")


def _is_hash_of(expected: str, body: bytes) -> bool:
    return hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), expected.lower().encode("utf-8", "replace"))


def _fits(validator: RequestValidator, url: str, parameters: _Parameters, signature: str) -> bool:
    """As written first, which nearly every signature is; then as Twilio may have written it.

    It signs with and without the port, and an apostrophe in a query now bare, now encoded (twilio-node, webhooks.spec.js).
    """
    given = signature.encode("utf-8", "replace")
    if hmac.compare_digest(str(validator.compute_signature(url, parameters)).encode(), given):
        return True
    written = {url, url.replace("%27", "'"), url.replace("'", "%27")}
    return any(validator.validate(one, parameters, signature) for one in written)
