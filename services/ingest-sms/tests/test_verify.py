"""Who may say that they are Twilio."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_settings import BaseSettings, SettingsConfigDict
from twilio.request_validator import RequestValidator

from parvis.ingest_sms.verify import Forged, Signatures

URL = "https://town.example/hooks"
FORM = [("Body", "Bonjour "), ("From", "+33639980001"), ("Blank", "")]


class Samples(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="PARVIS_")
    samples: Path | None = None


def signed(token: str, url: str = f"{URL}/sms") -> str:
    return RequestValidator(token).compute_signature(url, dict(FORM))


def test_twilios_signature_is_good() -> None:
    Signatures(URL, ["token"]).check(signed("token"), raw_path=b"/sms", query=b"", form=FORM)


def test_a_trailing_slash_in_the_setting_changes_nothing() -> None:
    Signatures(f"{URL}/", ["token"]).check(signed("token"), raw_path=b"/sms", query=b"", form=FORM)


def test_the_token_before_is_good_while_tokens_change() -> None:
    Signatures(URL, ["new", "old"]).check(signed("old"), raw_path=b"/sms", query=b"", form=FORM)


def test_path_and_query_count_as_they_came() -> None:
    signature = signed("token", f"{URL}/sms/status?reply=a%20b+c&x=%2F")
    check = Signatures(URL, ["token"]).check
    check(signature, raw_path=b"/sms/status", query=b"reply=a%20b+c&x=%2F", form=FORM)
    with pytest.raises(Forged):
        check(signature, raw_path=b"/sms/status", query=b"reply=a%20b%20c&x=/", form=FORM)


@pytest.mark.parametrize("signature", [None, "", "x", "é", signed("another")])
def test_anything_else_is_forged(signature: str | None) -> None:
    with pytest.raises(Forged):
        Signatures(URL, ["token"]).check(signature, raw_path=b"/sms", query=b"", form=FORM)


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
        Signatures(URL, ["token"]).check(signed("token"), raw_path=b"/sms", query=b"", form=form)


@given(st.text(), st.binary(), st.binary(), st.lists(st.tuples(st.text(), st.text())))
def test_nothing_but_forged_is_raised(signature: str, path: bytes, query: bytes, form: list[tuple[str, str]]) -> None:
    clean = [(a.encode("utf-8", "replace").decode(), b.encode("utf-8", "replace").decode()) for a, b in form]
    with pytest.raises(Forged):
        Signatures(URL, ["token"]).check(signature, raw_path=path, query=query, form=clean)


def _of_twilio() -> dict[str, Any]:
    folder = Samples().samples
    if folder is None:
        pytest.skip("PARVIS_SAMPLES is not set")
    return json.loads((folder / "twilio" / "signature_vectors.json").read_text())


def _is_good(url: str, token: str, signature: str, form: list[tuple[str, str]]) -> bool:
    parts = urlsplit(url)
    try:
        Signatures(f"{parts.scheme}://{parts.netloc}", [token]).check(
            signature, raw_path=parts.path.encode(), query=parts.query.encode(), form=form
        )
    except Forged:
        return False
    return True


def test_twilios_own_vectors() -> None:
    """Those with a form; the door takes no JSON."""
    vectors = _of_twilio()
    forms = [vector for vector in vectors["vectors"] if "params" in vector]
    assert len(forms) >= 5
    for vector in forms:
        form = _as_pairs(vector["params"])
        assert _is_good(vector["url"], vectors["token"], vector["signature"], form) is vector["valid"], vector["url"]


def test_twilios_own_pairs_of_urls() -> None:
    equivalence = _of_twilio()["url_equivalence"]
    for pair in equivalence["pairs"]:
        signature = RequestValidator(equivalence["token"]).compute_signature(pair["signed"], {})
        assert _is_good(pair["target"], equivalence["token"], signature, []) is pair["valid"], pair


def _as_pairs(params: dict[str, Any] | list[list[str]]) -> list[tuple[str, str]]:
    if isinstance(params, list):
        return [(name, value) for name, value in params]
    return [(name, one) for name, value in params.items() for one in (value if isinstance(value, list) else [value])]
