"""Tests bounces, delivery reports and complaints, hostile ones included."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_settings import BaseSettings, SettingsConfigDict

from parvis.ingest_email.models.parsed_mail import MailReport
from parvis.ingest_email.parse.bounce.diagnosis import classify_failure, find_status
from parvis.ingest_email.parse.bounce.report import parse_report
from parvis.ingest_email.parse.bounce.report_sections import READ_BYTES, parse_sections
from parvis.ingest_email.parse.machine_sent import find_machine_reason
from parvis.ingest_email.parse.mail import parse_mail
from parvis.ingest_email.parse.mime.headers import parse_headers

SAMPLES = Path(__file__).parents[1] / "samples"
MACHINES = SAMPLES / "machine"
CAMILLE = "camille@citizens.example"
_HEAD = b"Return-Path: <>\nFrom: MAILER-DAEMON@x.example\nSubject: failure notice\n"


def report_in(content: bytes) -> MailReport | None:
    headers = parse_headers(content)
    return parse_report(content, headers, machine_reason=find_machine_reason(headers))


def told(name: str) -> tuple[str, list[tuple[str, str, str | None]]] | None:
    report = report_in((MACHINES / f"{name}.eml").read_bytes().replace(b"ORIGINAL", b"<ours@example-town.example>"))
    if report is None:
        return None
    assert report.message_id == "<ours@example-town.example>" or name == "notice"
    return report.kind, [(one.address, one.action, one.failure) for one in report.recipients]


@pytest.mark.parametrize(
    ("name", "kind", "recipients"),
    [
        ("exim", "bounce", [(CAMILLE, "failed", "permanent")]),
        ("qmail", "bounce", [(CAMILLE, "failed", "temporary")]),
        (
            "sendmail-two",
            "bounce",
            [(CAMILLE, "failed", "permanent"), ("dominique@citizens.example", "failed", "temporary")],
        ),
        (
            "status-two",
            "bounce",
            [(CAMILLE, "delivered", None), ("renée@citizens.example", "failed", "refused")],
        ),
        ("french", "bounce", [(CAMILLE, "failed", "permanent")]),
        ("german", "bounce", [(CAMILLE, "failed", "temporary")]),
        ("after-data", "bounce", [(CAMILLE, "failed", "refused")]),
        ("blocked", "bounce", [(CAMILLE, "failed", "refused")]),
        ("expired", "bounce", [(CAMILLE, "failed", "unreachable")]),
        ("no-host", "bounce", [("camille@nowhere.example", "failed", "permanent")]),
        ("delayed-words", "delayed", [(CAMILLE, "delayed", "unreachable")]),
        ("complaint", "complaint", [(CAMILLE, "delivered", None)]),
        ("read", "disposition", [(CAMILLE, "delivered", None)]),
        ("notice", "bounce", [(CAMILLE, "failed", "permanent")]),
    ],
)
def test_a_report_names_its_recipients(name: str, kind: str, recipients: list[tuple[str, str, str | None]]) -> None:
    assert told(name) == (kind, recipients)


@pytest.mark.parametrize(
    "name", ["away-3834", "away-words", "away-phone", "newsletter", "no-reply", "cron", "challenge"]
)
def test_what_reports_nothing_is_no_report(name: str) -> None:
    assert told(name) is None


@pytest.mark.parametrize("file", sorted(MACHINES.iterdir()), ids=lambda file: file.stem)
def test_machines_are_known_without_their_envelope(file: Path) -> None:
    assert parse_mail(file.read_bytes())[0].machine or file.stem == "own-address"


def test_a_citizen_who_copies_a_bounce_is_no_machine() -> None:
    mail, _ = parse_mail((SAMPLES / "forwarded-bounce.eml").read_bytes())
    assert mail.machine is None
    assert mail.report
    assert not mail.report.is_structured


@pytest.mark.parametrize(
    ("diagnosis", "status", "code", "failure"),
    [
        ("<a@b> user unknown in virtual mailbox table", "5.1.1", "550", "permanent"),
        ("boîte aux lettres pleine", "", "", "temporary"),
        ("user unknown", "4.1.1", "450", "temporary"),
        ("after MAIL FROM: 550 no such domain", "5.1.8", "550", "refused"),
        ("blocked using a block list", "5.7.1", "554", "refused"),
        ("", "5.4.4", "", "permanent"),
        ("", "5.2.3", "552", "too-long"),
        ("", "", "421", "temporary"),
        ("", "", "", "refused"),
    ],
)
def test_only_a_dead_address_is_permanent(diagnosis: str, status: str, code: str, failure: str) -> None:
    assert classify_failure(diagnosis, status, code) == failure


def test_the_status_that_says_more_is_read() -> None:
    assert find_status("550 5.0.0 and then 5.1.1") == "5.1.1"
    assert find_status("at 10.5.1.1 and 5.1.1.5") == ""


@given(st.binary(max_size=4000))
def test_reading_never_raises(content: bytes) -> None:
    report_in(content)
    report_in(_HEAD + b"\n" + content)
    report_in(
        _HEAD
        + b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
        + content
    )


_LINE = st.sampled_from(
    [b"--b", b"--b--", b"", b"Content-Type: message/rfc822", b"Content-Type: message/delivery-status", b"Action: failed",
     b"Final-Recipient: rfc822; a@b.example", b"Content-Transfer-Encoding: base64", b"<a@b.example>: 550 5.1.1 x",
     b"Content-Type: text/html", b"From: a@b.example", b"Disposition: x; displayed", b"{\"Message\":\"{\"", b"Status: 4.0.0"]
)  # fmt: skip


@given(st.lists(_LINE, max_size=40))
def test_reading_never_raises_on_shapes(lines: list[bytes]) -> None:
    report = report_in(_HEAD + b"Content-Type: multipart/report; boundary=b\n\n" + b"\n".join(lines))
    assert report is None or all(one.failure != "permanent" or one.action != "delivered" for one in report.recipients)


@pytest.mark.parametrize(
    "body",
    [
        b"a" * READ_BYTES, b"a@" * 500_000, (b"a" * 499 + b"@\n") * 2000, b"<a@b.example>: 550 5.1.1 x\n" * 30_000, b"\n" * READ_BYTES,
        b"--x\nContent-Type: text/plain\n" * 30_000, b'{"a":[' * 10_000, b"Received: x\n" * 80_000, b"5.1.1." * 100_000,
        b"".join(b"Final-Recipient: rfc822; u%d@x.example\nAction: failed\n\n" % n for n in range(10_000)), b'"a' * 400_000,
    ],
    ids=range(11),
)  # fmt: skip
def test_a_hostile_report_is_read(body: bytes) -> None:
    """Read in any way that is not linear, these take minutes, and the test run ends."""
    assert report_in(_HEAD + b"\n" + body)


def test_the_parts_of_a_returned_mail_are_its_own() -> None:
    returned = b"Content-Type: multipart/mixed; boundary=i\n\n--i\nContent-Type: message/delivery-status\n\nAction: failed\n--i--\n"
    content = (
        b"Content-Type: multipart/mixed; boundary=o\n\n--o\n\nwords\n--o\nContent-Type: message/rfc822\n\n"
        + returned
        + b"--o--\n"
    )
    flags = {section.media_type: section.is_returned for section in parse_sections(content) if section.text.strip()}
    assert flags == {"text/plain": False, "message/rfc822": True, "message/delivery-status": True}


class Samples(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="PARVIS_")
    samples: Path | None = None


def test_recipients_and_dead_addresses_of_the_world() -> None:
    """95 % of the recipient counts, 90 % of what is hard or soft, on real bounces."""
    folder = (Samples().samples or Path()) / "email-bounce"
    if not (folder / "expected.json").is_file():
        pytest.skip("PARVIS_SAMPLES has no email-bounce")
    counted: list[bool] = []
    judged: list[bool] = []
    for row in json.loads((folder / "expected.json").read_text()):
        if row.get("kind") not in ("bounce", "feedback", "delivered") or not (folder / row["file"]).is_file():
            continue
        report = parse_mail((folder / row["file"]).read_bytes())[0].report
        recipients = report.recipients if report else ()
        counted.append(len(recipients) == row["n_recipients"])
        judged.append(any(one.failure == "permanent" for one in recipients) == row["any_hardbounce"])
    assert len(counted) > 100
    assert sum(counted) / len(counted) >= 0.95
    assert sum(judged) / len(judged) >= 0.9
