"""Measures Twilio's own signature vectors in our verifier, and webhooks of other projects in our service."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from twilio.request_validator import RequestValidator

from parvis.ingest_sms.verify.webhook_signature import Forged, SignatureVerifier, SignedRequest
from parvis.local.stack import Stack
from tests.corpus.corpus import Corpus, Score
from tests.corpus.door import a_form, post_all

_REPLY = "/sms/status?reply=9c6d1f0e-5a51-5c5e-8d1f-1f0e5a515c5e"


async def run(folder: Path, stack: Stack) -> Sequence[Score]:
    scores: list[Score] = []
    vectors = folder / "signature_vectors.json"
    if vectors.exists():
        scores += _signatures(json.loads(vectors.read_text("utf-8")))
    forms = [
        form for file in sorted(folder.glob("*webhook*.json")) for form in _forms(json.loads(file.read_text("utf-8")))
    ]
    if forms:
        scores += await _webhooks(stack, forms)
    return scores


def _signatures(vectors: Mapping[str, Any]) -> list[Score]:
    own, pairs = vectors["vectors"], vectors.get("url_equivalence", {})
    right = [_fits(v["url"], v["signature"], vectors["token"], v) is v["valid"] for v in own]
    scores = [
        Score(f"signatures judged as Twilio judges them, of {len(own)}", "share", sum(right) / len(right), ">= 1")
    ]
    if pairs:
        sign = RequestValidator(pairs["token"]).compute_signature
        right = [_fits(p["target"], sign(p["signed"], {}), pairs["token"], {}) is p["valid"] for p in pairs["pairs"]]
        scores.append(Score(f"pairs of URLs judged so, of {len(right)}", "share", sum(right) / len(right), ">= 1"))
    return scores


def _fits(url: str, signature: str, token: str, vector: Mapping[str, Any]) -> bool:
    parts, params = urlsplit(url), vector.get("params", {})
    pairs = params.items() if isinstance(params, dict) else params
    form = [(name, part) for name, value in pairs for part in (value if isinstance(value, list) else [value])]
    call = SignedRequest(parts.path.encode(), parts.query.encode(), vector.get("body", "").encode(), form)
    try:
        SignatureVerifier(f"{parts.scheme}://{parts.netloc}", {"AC": [token]}).verify(signature, call, account="AC")
    except Forged:
        return False
    return True


def _forms(value: Any) -> Iterator[dict[str, str]]:
    """Every webhook in a JSON file of any shape: a string that is a form, or an object with its fields."""
    if isinstance(value, str) and "MessageSid=" in value:
        yield dict(parse_qsl(value, keep_blank_values=True))
    elif isinstance(value, dict) and "MessageSid" in value:
        yield {str(name): str(item) for name, item in value.items()}
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _forms(item)


async def _webhooks(stack: Stack, forms: Sequence[Mapping[str, str]]) -> list[Score]:
    """Post the webhooks with our account and a new MessageSid, which the service checks; their media no longer exist."""
    adapted = [
        {**form, **{k: v for k, v in a_form(stack, number, "webhook").items() if k in {"AccountSid", "MessageSid"}}}
        for number, form in enumerate(forms)
    ]
    messages = [form for form in adapted if "MessageStatus" not in form]
    statuses = [form for form in adapted if "MessageStatus" in form]
    answers = [*await post_all(stack, messages), *await post_all(stack, statuses, _REPLY)]
    return [
        Score(
            f"webhooks of others answered with 5xx, of {len(answers)}",
            "",
            sum(status >= 500 for status in answers),
            "<= 0",
        ),
        Score("webhooks of others accepted", "share", sum(status < 300 for status in answers) / len(answers)),
    ]


CORPUS = Corpus("twilio", "twilio", "are exactly the requests accepted that Twilio signed?", run)
