"""Defines forty canary strings that stand for personal data, and sends them through every channel."""

import asyncio
import json
import smtplib
import struct
import uuid
import zlib
from contextlib import suppress
from dataclasses import replace
from email.message import EmailMessage

import httpx

from parvis.common.bus.cloudevents import Record
from parvis.common.bus.producer import Producer
from parvis.common.contract.topics import CONTACT_RECEIVED, REPLY_REQUESTED, department_topic
from parvis.common.runtime.health import Health
from parvis.common.testing import a_contact
from parvis.local.citizen_client import TOWN_MAILBOX, Citizens
from parvis.local.demo.agents import DemoAgents
from parvis.local.letter import BIRTH_CERTIFICATE, write_pdf
from parvis.local.stack import Stack
from tests.patience import PATIENCE_S

PREFIX = "parvis"
NIR = "2850578006084{:02d}"


def word(number: int) -> str:
    """One canary: a word that occurs nowhere by chance, used in a name, an address, a file name or a sentence."""
    return f"kanari{number:02d}"


def phone(number: int) -> str:
    return f"+336399877{number:02d}"


def nir(number: int) -> str:
    return NIR.format(number)


# What is accepted has to be found again in the values of Kafka; what is refused, nowhere.
KEPT = (
    *(word(number) for number in range(1, 21)),
    *(phone(number)[3:] for number in range(1, 5)),
    *(nir(number) for number in range(1, 7)),
)
REFUSED = (*(word(number) for number in range(60, 68)), phone(60)[3:], nir(60))


async def send_all(town: Stack, citizens: Citizens, agents: DemoAgents) -> None:
    """All canaries except the one in the agent's answer."""
    await _text(town, citizens)
    await asyncio.to_thread(_mail, town.port("ingest-email.smtp"))
    await _forms(town, citizens)
    _letters(citizens)
    await _visits(town, agents)
    await _poison(town)


async def _text(town: Stack, citizens: Citizens) -> None:
    await citizens.text(phone(1), f"Je suis {word(1)}, numéro {nir(1)}, fuite d'eau rue {word(2)}.")
    forged = {"From": phone(60), "To": "+33536490100", "Body": f"Je suis {word(60)}", "MessageSid": f"SM{'6' * 32}"}
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        for path in ("/sms", "/sms/fallback", "/sms/status", f"/{word(61)}"):
            answer = await http.post(
                town.url("ingest-sms") + path, data=forged, headers={"X-Twilio-Signature": word(61)}
            )
            assert answer.status_code in {403, 404}, answer.status_code


def _mail(port: int) -> None:
    mail = EmailMessage()
    mail["From"] = f"{word(3)} <{word(4)}@citizen.example>"
    mail["To"], mail["Subject"] = TOWN_MAILBOX, f"Carte électorale de {word(5)}"
    mail["Message-ID"] = f"<{uuid.uuid4()}@citizen.example>"
    mail.set_content(f"Mon numéro est {nir(2)}, mon nom {word(6)}.\nRépondez-moi au {phone(2)}.\n")
    mail.add_attachment(
        b"%PDF-1.4 " + word(62).encode(), maintype="application", subtype="pdf", filename=f"{word(7)}.pdf"
    )
    accepted = _hand_over(port, f"{word(4)}@citizen.example", TOWN_MAILBOX, mail.as_bytes())
    assert accepted == 250, accepted
    assert _hand_over(port, f"{word(63)}@citizen.example", f"{word(63)}@example-town.example", b"\r\n") == 550
    broken = (
        f"From: {word(8)} <{word(8)}@citizen.example>\r\nSubject: {word(9)}\r\nMessage-ID: <{uuid.uuid4()}@citizen.example>\r\n"
        f'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: application/pdf; name="{word(7)}.pdf"\r\n'
        f"Content-Transfer-Encoding: base64\r\n\r\n{word(62)}=!\r\n--y--\r\n"
    )
    assert _hand_over(port, f"{word(8)}@citizen.example", TOWN_MAILBOX, broken.encode()) == 250
    with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S) as client:
        client.ehlo(word(63))
        for line in (f"VRFY {word(63)}", f"MAIL FROM:<{word(63)} @>", f"{word(63)}", f"RCPT TO:<{word(63)}>"):
            client.docmd(line)


def _hand_over(port: int, sender: str, recipient: str, content: bytes) -> int:
    client = smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        client.sendmail(sender, [recipient], content)
    except smtplib.SMTPRecipientsRefused as error:
        return next(iter(error.recipients.values()))[0]
    except smtplib.SMTPDataError as error:
        return error.smtp_code
    finally:
        with suppress(smtplib.SMTPException, OSError):
            client.quit()
    return 250


async def _forms(town: Stack, citizens: Citizens) -> None:
    form = await citizens.open_form("road-report")
    details = f"Un trou devant chez moi, {nir(3)}."
    answers = {"problem": "pothole", "place": f"3 rue {word(10)}", "details": details, "your-name": word(11)}
    reply = {"reply-channel": "email", "reply-email": f"{word(12)}@citizen.example"}
    assert (await form.send(answers | reply)).status_code == 303
    bad = await citizens.open_form("road-report")
    wrong = {
        "details": f"{word(64)} {nir(60)}",
        "your-name": word(64),
        "reply-channel": "sms",
        "reply-sms": f"{word(64)}",
    }
    assert (await bad.send(wrong)).status_code == 422
    web = town.url("ingest-web")
    async with httpx.AsyncClient(timeout=PATIENCE_S, headers={"origin": web}) as http:
        forged = {"_once": word(65), "_csrf": word(65), "details": word(65), "your-name": word(65)}
        await http.post(f"{web}/demarches/road-report", files={k: (None, v) for k, v in forged.items()})
        await http.post(f"{web}/demarches/road-report", data=forged, headers={"origin": f"https://{word(65)}.example"})
        for path in (f"/{word(65)}", f"/demarches/{word(65)}", f"/merci/{word(65)}", f"/?name={word(65)}"):
            await http.get(web + path)
        known = {"authorization": f"Bearer {word(65)}", "idempotency-key": word(65), "content-type": "application/json"}
        for body in (json.dumps({"procedure": word(65), "answers": {"details": word(65)}}), f'{{"name": "{word(65)}'):
            await http.post(f"{web}/api/v1/contacts", content=body, headers=known)


def _letters(citizens: Citizens) -> None:
    letter = replace(
        BIRTH_CERTIFICATE,
        sender=(f"Mme Céleste {word(13).upper()}", f"12 rue de la {word(14)}", "00100 VAL-EXEMPLE"),
        body=(f"Je vous prie de m'adresser une copie de mon acte de naissance. Mon numéro est le {nir(4)}, portable {phone(3)}.",),
        signature=f"Céleste {word(13)}",
    )  # fmt: skip
    citizens.drop(write_pdf(letter), f"{word(66)}-1.pdf")
    citizens.drop(f"%PDF-1.7\n{word(66)}\n%%EOF\n".encode(), f"{word(66)}-2.pdf")
    citizens.drop(f"Je suis {word(66)}".encode(), f"{word(66)}-3.txt")
    citizens.drop(_a_broken_png(word(66)), f"{word(66)}-4.png")


def _a_broken_png(words: str) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", 100, 100, 8, 0, 0, 0, 0)
    text = b"Comment\0" + words.encode()
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"tEXt", text)
        + chunk(b"IDAT", b"no")
        + chunk(b"IEND", b"")
    )


async def _visits(town: Stack, agents: DemoAgents) -> None:
    by_letter = {"reply_channel": "post", "reply_address": f"Famille {word(16)}\n3 rue {word(10)}\n00100 VAL-EXEMPLE"}
    for channel, number, his, reply in (("counter", 15, 5, by_letter), ("phone", 17, 6, {})):
        text = f"Elle s'appelle {word(number)} et veut inscrire son petit-fils à la cantine, {nir(his)}."
        visit = {"channel": channel, "name": word(number + 1), "phone": phone(4)} | reply
        await agents.receive_at_the_counter("enfance-ecoles", text, **visit)
    async with httpx.AsyncClient(
        base_url=town.url("desk"), cookies={"parvis-desk": word(67)}, timeout=PATIENCE_S
    ) as http:
        await http.post("/login", data={"name": word(67), "department": word(67), "_csrf": word(67)})
        for path in (f"/search?q={word(67)}", f"/cases/{word(67)}", f"/{word(67)}"):
            await http.get(path)
        known = {"authorization": f"Bearer {town.env['PARVIS_DESK_API_TOKEN']}"}
        for token in (known, {"authorization": f"Bearer {word(67)}"}):
            await http.post("/api/v1/contacts", json={"text": word(67), "phone": word(67), word(67): 1}, headers=token)


async def _poison(town: Stack) -> None:
    """Poison records, which become dead letters with their bytes."""
    contact = a_contact(text=word(19)).model_dump(mode="json")
    strange = contact | {"personal": contact["personal"] | {"answers": {word(19): 1}}}
    nearly = contact | {"sender": {"level": word(19)}}
    broken = f'{{"personal": {{"text": "{word(19)}"'
    producer = Producer(town.kafka, service="canaries", health=Health())
    try:
        for topic, kind, value in (
            (CONTACT_RECEIVED, "contact.received", broken),
            (CONTACT_RECEIVED, "contact.received", json.dumps(strange)),
            (CONTACT_RECEIVED, "contact.received", json.dumps(nearly)),
            (REPLY_REQUESTED, "reply.requested", broken),
            (department_topic("voirie"), "contact.routed", broken),
            (department_topic("voirie"), "contact.routed", json.dumps({"contact": strange, "routing": word(19)})),
        ):
            made = str(uuid.uuid4())
            headers = {"ce_specversion": "1.0", "ce_id": made, "ce_type": kind, "ce_source": "canaries"}
            packed = tuple((name, said.encode()) for name, said in headers.items())
            await producer.send(Record(topic.full_name(PREFIX), made.encode(), value.encode(), packed))
    finally:
        await producer.stop()
