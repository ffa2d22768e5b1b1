"""The town's mails at the relay, sent by aiosmtplib as the notifier sends them."""

import email
import email.policy
import ssl
from collections.abc import AsyncGenerator
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import httpx
import pytest

from parvis.simulators.app import Simulators

from .conftest import Town, settings_for, until

SENDER = "retour+42@example-town.example"
CITIZEN = "camille@citizens.example"
MAIL = (
    b"From: Mairie <mairie@example-town.example>\r\nTo: camille@citizens.example\r\nSubject: =?utf-8?q?Re=C3=A7u?=\r\n"
    b"Message-ID: <42@example-town.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\nVotre message est enregistr\xc3\xa9.\r\n.\r\n"
)


def client_of(outside: Simulators, *, timeout: float = 10) -> aiosmtplib.SMTP:
    return aiosmtplib.SMTP(
        hostname="127.0.0.1",
        port=outside.mail_smtp_port,
        username="mairie",
        password="also-not-a-secret",
        start_tls=True,
        tls_context=ssl.create_default_context(cafile=outside.settings.mail_certificate),
        timeout=timeout,
    )


@pytest.fixture
async def relay(outside: Simulators) -> AsyncGenerator[aiosmtplib.SMTP]:
    async with client_of(outside) as client:
        yield client


def parts_of(content: bytes) -> list[EmailMessage]:
    return list(email.message_from_bytes(content, _class=EmailMessage, policy=email.policy.default).walk())


async def test_a_mail_is_kept_byte_for_byte(
    relay: aiosmtplib.SMTP, mail_sim: httpx.AsyncClient, outside: Simulators
) -> None:
    _, reply = await relay.sendmail(SENDER, [CITIZEN, "dominique@citizens.example"], MAIL)
    assert "queued as" in reply
    (mail,) = (await mail_sim.get("/_sim/messages")).json()["messages"]
    assert (mail["mail_from"], mail["rcpt_to"], mail["tls"]) == (SENDER, [CITIZEN, "dominique@citizens.example"], True)
    assert (mail["subject"], mail["text"]) == ("Reçu", "Votre message est enregistré.\n.\n")
    assert mail["message_id"] == "<42@example-town.example>"
    assert (await mail_sim.get(mail["raw_url"])).content == MAIL
    (file,) = outside.settings.mail_dir.iterdir()
    assert file.read_bytes() == MAIL


async def test_a_wrong_password_is_refused(outside: Simulators) -> None:
    client = client_of(outside)
    client._login_password = b"wrong"  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(aiosmtplib.SMTPAuthenticationError):
        await client.connect(password="wrong")
    client.close()


async def test_nothing_is_taken_without_tls_or_without_login(outside: Simulators) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=outside.mail_smtp_port, start_tls=False) as client:
        with pytest.raises(aiosmtplib.SMTPResponseException, match="STARTTLS"):
            await client.mail(SENDER)
    trusted = ssl.create_default_context(cafile=outside.settings.mail_certificate)
    async with aiosmtplib.SMTP(
        hostname="127.0.0.1", port=outside.mail_smtp_port, start_tls=True, tls_context=trusted
    ) as client:
        with pytest.raises(aiosmtplib.SMTPResponseException, match="Authentication required"):
            await client.mail(SENDER)


async def test_a_client_that_does_not_know_the_certificate_does_not_trust_it(outside: Simulators) -> None:
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=outside.mail_smtp_port, start_tls=True)
    with pytest.raises((ssl.SSLCertVerificationError, aiosmtplib.SMTPException)):
        await client.connect()
    client.close()


async def test_the_certificate_outlives_a_restart(town: Town, tmp_path: Path) -> None:
    settings = settings_for(town, tmp_path)
    seen: list[bytes] = []
    for _ in range(2):
        async with Simulators(settings):
            seen.append(settings.mail_certificate.read_bytes())
    assert seen[0] == seen[1]
    assert settings.mail_certificate.with_suffix(".key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("name", "code"), [("inconnu", 550), ("bounce", 550), ("occupe", 451), ("plein", 552), ("Inconnu+tag", 550)]
)
async def test_a_magic_recipient_is_refused_at_rcpt(
    relay: aiosmtplib.SMTP, outside: Simulators, name: str, code: int
) -> None:
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
        await relay.sendmail(SENDER, f"{name}@citizens.example", MAIL)
    assert refused.value.recipients[0].code == code
    assert not outside.mail.box.mails


async def test_the_relay_says_that_it_reports_on_delivery(relay: aiosmtplib.SMTP) -> None:
    assert relay.supports_extension("dsn")
    assert relay.supports_extension("enhancedstatuscodes")


async def test_a_success_report_is_sent_when_it_was_asked_for(relay: aiosmtplib.SMTP, town: Town) -> None:
    await relay.sendmail(
        SENDER,
        CITIZEN,
        MAIL,
        mail_options=["RET=HDRS", "ENVID=reply+3D42"],
        rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Camille+2B1@citizens.example"],
    )
    await until(lambda: town.mails)
    (report,) = town.mails
    assert (report.mail_from, report.rcpt_tos) == ("", [SENDER])
    root, text, status, whole, recipient, original = parts_of(report.content)
    assert (root.get_content_type(), root.get_param("report-type")) == ("multipart/report", "delivery-status")
    assert root["Auto-Submitted"] == "auto-replied"
    assert text.get_content_type() == "text/plain"
    assert status.get_content_type() == "message/delivery-status"
    assert whole["Original-Envelope-Id"] == "reply=42"
    assert recipient["Original-Recipient"] == "rfc822;Camille+1@citizens.example"
    assert recipient["Final-Recipient"] == f"rfc822; {CITIZEN}"
    assert (recipient["Action"], recipient["Status"]) == ("delivered", "2.0.0")
    assert original.get_content_type() == "text/rfc822-headers"
    assert "<42@example-town.example>" in original.get_content()


async def test_a_bounce_carries_the_whole_mail_when_that_was_asked_for(relay: aiosmtplib.SMTP, town: Town) -> None:
    await relay.sendmail(SENDER, "rebond@citizens.example", MAIL, mail_options=["RET=FULL", "BODY=8BITMIME"])
    await until(lambda: town.mails)
    (report,) = town.mails
    assert b"\r\nAction: failed\r\nStatus: 5.1.1\r\n" in report.content
    assert MAIL in report.content
    assert [part.get_content_type() for part in parts_of(report.content)][-2:] == ["message/rfc822", "text/plain"]


async def test_nobody_is_told_who_did_not_ask_and_never_a_null_sender(relay: aiosmtplib.SMTP, town: Town) -> None:
    await relay.sendmail(SENDER, CITIZEN, MAIL)
    await relay.sendmail(SENDER, "rebond@citizens.example", MAIL, rcpt_options=["NOTIFY=NEVER"])
    await relay.sendmail("", "rebond@citizens.example", MAIL)
    await relay.sendmail(SENDER, CITIZEN, MAIL, rcpt_options=["NOTIFY=SUCCESS"])
    await until(lambda: town.mails)
    (report,) = town.mails
    assert b"Action: delivered" in report.content


@pytest.mark.parametrize("option", ["NOTIFY=PERHAPS", "NOTIFY=NEVER,SUCCESS", "UNKNOWN=1"])
async def test_a_parameter_that_is_not_in_the_rfc_is_refused(relay: aiosmtplib.SMTP, option: str) -> None:
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
        await relay.sendmail(SENDER, CITIZEN, MAIL, rcpt_options=[option])


async def test_a_mail_is_kept_although_the_reply_never_comes(town: Town, tmp_path: Path) -> None:
    async with Simulators(settings_for(town, tmp_path, silence_s=0.2)) as outside:
        client = client_of(outside)
        await client.connect()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await client.sendmail(SENDER, "muet@citizens.example", MAIL)
        client.close()
        assert len(outside.mail.box.mails) == 1


async def test_someone_away_answers_by_machine(relay: aiosmtplib.SMTP, town: Town) -> None:
    await relay.sendmail(SENDER, "absent@citizens.example", MAIL)
    await until(lambda: town.mails)
    (answer,) = town.mails
    message = parts_of(answer.content)[0]
    assert (answer.mail_from, answer.rcpt_tos) == ("", [SENDER])
    assert (message["Auto-Submitted"], message["In-Reply-To"]) == ("auto-replied", "<42@example-town.example>")


async def test_faults_are_in_force_for_their_times(
    relay: aiosmtplib.SMTP, mail_sim: httpx.AsyncClient, outside: Simulators
) -> None:
    await mail_sim.post("/_sim/faults", json={"data": "451 4.3.0 Later", "times": 1})
    with pytest.raises(aiosmtplib.SMTPDataError) as refused:
        await relay.sendmail(SENDER, CITIZEN, MAIL)
    assert refused.value.code == 451
    await relay.sendmail(SENDER, CITIZEN, MAIL)
    assert len(outside.mail.box.mails) == 1
    assert (await mail_sim.post("/_sim/faults", json={"data": "nonsense"})).status_code == 422
