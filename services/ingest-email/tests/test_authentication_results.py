"""Tests which Authentication-Results are believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.ingest_email.verify.authentication_results import verify_sender

OURS = "mx.example-town.example"


def level(*results: str, sender: str = "a@citizens.example", authserv_id: str = OURS) -> str:
    return verify_sender(results, authserv_id=authserv_id, sender=sender).level


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (f"{OURS}; dmarc=pass header.from=citizens.example", "domain"),
        (f"{OURS} 1; spf=pass smtp.mailfrom=x; dmarc = PASS (p=none) header.from=citizens.example", "domain"),
        (f"{OURS.upper()}; dmarc=pass", "domain"),
        (f"{OURS}; dmarc=pass header.from=elsewhere.example", "none"),
        (f"{OURS}; dmarc=fail header.from=citizens.example", "none"),
        (f"{OURS}; spf=pass; dkim=pass", "none"),
        ("mx.evil.example; dmarc=pass header.from=citizens.example", "none"),
        (f'{OURS}; spf=fail smtp.mailfrom="; dmarc=pass"@evil.example', "none"),
        (f"{OURS}; spf=fail (; dmarc=pass) smtp.mailfrom=x", "none"),
        (f"{OURS}; spf=fail smtp.mailfrom=dmarc=pass@evil.example", "none"),
        (f"{OURS}; none", "none"),
        ("", "none"),
    ],
)
def test_only_a_pass_of_our_own_server_for_the_very_domain(result: str, expected: str) -> None:
    assert level(result) == expected


def test_the_topmost_of_our_own_counts() -> None:
    assert level(f"{OURS}; dmarc=fail", f"{OURS}; dmarc=pass") == "none"


def test_without_a_name_of_our_own_nobody_is_believed() -> None:
    assert level("; dmarc=pass", authserv_id="") == "none"


def test_the_evidence_names_verdicts_only() -> None:
    found = verify_sender(
        [f"{OURS}; spf=pass smtp.mailfrom=a@citizens.example; dmarc=pass"], authserv_id=OURS, sender="a@b.c"
    )
    assert found.evidence == "dmarc=pass spf=pass"


@pytest.mark.parametrize(
    ("result", "spf", "dkim", "dmarc"),
    [
        (f"{OURS}; spf=pass smtp.mailfrom=x; dkim=none; dmarc=fail (p=reject)", "pass", "none", "fail"),
        (f"{OURS} (our (own) server) 1 ; spf/1 = softfail; DKIM=Fail", "softfail", "fail", None),
        (f'"{OURS}"; dmarc=pass header.from=citizens.example', None, None, "pass"),
        (f"{OURS}; dkim=fail header.d=list.example; dkim=pass header.d=citizens.example", None, "pass", None),
        (f"{OURS}; dmarc=fail; dmarc=pass", None, None, "fail"),
        (f'{OURS}; dkim=fail reason="bad; dmarc=pass"; dmarc=fail', None, "fail", "fail"),
        (f"{OURS}; dkim=fail (\\); dmarc=pass (; dmarc=pass)", None, "fail", None),
        (f'{OURS}; spf=fail reason="\\"; dmarc=pass', "fail", None, None),
        (f"{OURS}; x-mine=pass; dmarc-policy=pass", None, None, None),
        (f"{OURS}", None, None, None),
        (f"{OURS}.evil.example; dmarc=pass", None, None, None),
    ],
)
def test_the_verdicts_are_read_by_the_grammar(
    result: str, spf: str | None, dkim: str | None, dmarc: str | None
) -> None:
    """RFC 8601 §2.2: comments may nest, strings may hold anything, a method may have a version."""
    found = verify_sender([result], authserv_id=OURS, sender="a@citizens.example")
    assert (found.spf, found.dkim, found.dmarc) == (spf, dkim, dmarc)


@given(st.text(alphabet='();"\\= amrcdspf/1', max_size=200))
def test_what_stands_in_brackets_or_quotes_is_no_verdict(text: str) -> None:
    verify_sender([f"{OURS};{text}"], authserv_id=OURS, sender="a@b.c")
    inner = text.replace("\\", "").replace('"', "").replace("(", "").replace(")", "")
    for hidden in (f"({inner}; dmarc=pass)", f'reason="{inner}; dmarc=pass"'):
        assert verify_sender([f"{OURS}; spf=fail {hidden}"], authserv_id=OURS, sender="a@b.c").dmarc is None
