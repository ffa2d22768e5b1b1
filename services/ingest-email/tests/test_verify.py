"""Whose word counts about a sender."""

import pytest

from parvis.ingest_email.verify import verify_sender

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
