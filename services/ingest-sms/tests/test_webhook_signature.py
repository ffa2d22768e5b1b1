"""Facts about Twilio's webhook signatures."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_settings import BaseSettings, SettingsConfigDict
from twilio.request_validator import RequestValidator

from parvis.ingest_sms.verify.webhook_signature import Forged, SignatureVerifier, SignedRequest

URL = "https://town.example/hooks"
FORM = [("Body", "Bonjour "), ("From", "+33639980001"), ("Blank", "")]


class Samples(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="PARVIS_")
    samples: Path | None = None


def signed(token: str, url: str = f"{URL}/sms") -> str:
    return RequestValidator(token).compute_signature(url, dict(FORM))


def check(
    signature: str | None, raw_path: bytes = b"/sms", *, form: Sequence[tuple[str, str]] = FORM, **more: Any
) -> None:
    tokens = more.pop("tokens", ["token"])
    url = more.pop("url", URL)
    SignatureVerifier(url, {"AC1": tokens}).verify(signature, SignedRequest(raw_path, form=form, **more), account="AC1")


def test_twilios_signature_is_valid() -> None:
    check(signed("token"))


def test_a_trailing_slash_in_the_setting_changes_nothing() -> None:
    check(signed("token"), url=f"{URL}/")


def test_the_previous_token_is_valid_during_a_rotation() -> None:
    check(signed("old"), tokens=["new", "old"])


def test_the_raw_path_and_query_are_signed() -> None:
    signature = signed("token", f"{URL}/sms/status?reply=a%20b+c&x=%2F")
    check(signature, b"/sms/status", query=b"reply=a%20b+c&x=%2F")
    with pytest.raises(Forged):
        check(signature, b"/sms/status", query=b"reply=a%20b%20c&x=/")


@pytest.mark.parametrize("signature", [None, "", "x", "é", signed("another")])
def test_any_other_signature_is_forged(signature: str | None) -> None:
    with pytest.raises(Forged):
        check(signature)


@pytest.mark.parametrize(
    "form",
    [
        FORM[:2],
        [("Body", "Bonjour"), *FORM[1:]],
        [*FORM, ("Body", "autre")],
        [("BodyB", "onjour "), *FORM[1:], ("A", "")],
    ],
)
def test_a_changed_form_is_forged(form: list[tuple[str, str]]) -> None:
    with pytest.raises(Forged):
        check(signed("token"), form=form)


@given(st.text(), st.binary(), st.binary(), st.lists(st.tuples(st.text(), st.text())))
def test_nothing_but_forged_is_raised(signature: str, path: bytes, query: bytes, form: list[tuple[str, str]]) -> None:
    clean = [(a.encode("utf-8", "replace").decode(), b.encode("utf-8", "replace").decode()) for a, b in form]
    with pytest.raises(Forged):
        check(signature, path, query=query, form=clean)


def _of_twilio() -> dict[str, Any]:
    folder = Samples().samples
    if folder is None:
        pytest.skip("PARVIS_SAMPLES is not set")
    return json.loads((folder / "twilio" / "signature_vectors.json").read_text())


def _is_good(vector: dict[str, Any], token: str) -> bool:
    parts = urlsplit(vector["url"])
    body = vector.get("body", "").encode()
    form = _as_pairs(vector.get("params", {}))
    call = SignedRequest(parts.path.encode(), parts.query.encode(), body, form)
    try:
        SignatureVerifier(f"{parts.scheme}://{parts.netloc}", {"AC1": [token]}).verify(
            vector["signature"], call, account="AC1"
        )
    except Forged:
        return False
    return True


def test_twilios_own_vectors_are_judged_alike() -> None:
    vectors = _of_twilio()
    assert len(vectors["vectors"]) >= 17
    for vector in vectors["vectors"]:
        assert _is_good(vector, vectors["token"]) is vector["valid"], vector["url"]


def test_twilios_own_pairs_of_urls_are_judged_alike() -> None:
    equivalence = _of_twilio()["url_equivalence"]
    for pair in equivalence["pairs"]:
        signature = RequestValidator(equivalence["token"]).compute_signature(pair["signed"], {})
        assert _is_good({"url": pair["target"], "signature": signature}, equivalence["token"]) is pair["valid"], pair


def _as_pairs(params: dict[str, Any] | list[list[str]]) -> list[tuple[str, str]]:
    if isinstance(params, list):
        return [(name, value) for name, value in params]
    return [(name, part) for name, value in params.items() for part in (value if isinstance(value, list) else [value])]


def signed_body(body: bytes) -> tuple[str, bytes]:
    query = f"bodySHA256={hashlib.sha256(body).hexdigest()}"
    return RequestValidator("token").compute_signature(f"{URL}/sms?{query}", {}), query.encode()


def test_a_signed_hash_covers_the_body() -> None:
    signature, query = signed_body(b'{"a": 1}')
    check(signature, query=query, body=b'{"a": 1}', form=[])
    with pytest.raises(Forged):
        check(signature, query=query, body=b'{"a": 2}', form=[])


def test_a_form_with_another_hash_in_its_url_is_forged() -> None:
    """twilio's own validator accepts parsed fields with any bodySHA256 in the URL and does not check the body."""
    query = "bodySHA256=" + "0" * 64
    signature = RequestValidator("token").compute_signature(f"{URL}/sms?{query}", dict(FORM))
    with pytest.raises(Forged):
        check(signature, query=query.encode(), body=b"Body=Bonjour+")


def test_each_account_signs_with_its_own_token() -> None:
    signatures = SignatureVerifier(URL, {"AC1": ["one"], "AC2": ["two"]})
    call = SignedRequest(b"/sms", form=FORM)
    signatures.verify(signed("two"), call, account="AC2")
    for account in ("AC1", "AC3", ""):
        with pytest.raises(Forged):
            signatures.verify(signed("two"), call, account=account)


@pytest.mark.parametrize("url", ["https://town.example:443/hooks", "https://town.example/hooks"])
def test_the_default_port_changes_nothing(url: str) -> None:
    check(signed("token", f"{url}/sms"))


def test_twilio_signs_names_and_values_without_separators() -> None:
    signature = RequestValidator("token").compute_signature(f"{URL}/sms", {"AB": "C"})
    check(signature, form=[("A", "BC")])
