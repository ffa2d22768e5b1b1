"""Measures how well bounces, complaints and vacation notes of many mail systems are recognized and parsed."""

import asyncio
import json
import smtplib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.mail_tokens import make_bounce_address
from parvis.common.contract.reply import make_reply_id
from parvis.common.contract.topics import CONTACT_RECEIVED, DELIVERY_REPORTED, REPLY_REQUESTED
from parvis.ingest_email.models.parsed_mail import ParsedMail
from parvis.ingest_email.parse.machine_sent import find_machine_reason
from parvis.ingest_email.parse.mail import parse_mail
from parvis.ingest_email.parse.message_identity import identify_message
from parvis.ingest_email.parse.mime.headers import Headers, parse_headers
from parvis.local.stack import Stack
from tests.corpus.corpus import Corpus, Score
from tests.faults.smtp_client import RECIPIENT

_DOMAIN = RECIPIENT.partition("@")[2]
_MACHINES = ("bounce", "feedback", "vacation")
_ORDINARY = b"From: une.personne@citizen.example\nSubject: Re: Votre demande\n\n"
_AT_ONCE = 4
_PATIENCE_S = 60


@dataclass
class ParsedRow:
    """A labelled mail and the result of parsing it without its envelope."""

    row: dict[str, Any]
    mail: ParsedMail

    @property
    def count(self) -> int:
        """Return the number of recipients; a vacation note counts as one, its sender."""
        if self.row["kind"] == "vacation":
            return 1 if self.mail.sender and self.mail.report is None else 0
        return len(self.mail.report.recipients) if self.mail.report else 0

    @property
    def is_hard(self) -> bool:
        reported = self.mail.report.recipients if self.mail.report else ()
        return any(recipient.failure == "permanent" and recipient.action == "failed" for recipient in reported)


@dataclass
class SmtpReplies:
    """SMTP reply codes and the contact ids in the replies."""

    codes: Counter[int] = field(default_factory=Counter[int])
    ids: list[str] = field(default_factory=list[str])


async def run(folder: Path, stack: Stack) -> Sequence[Score]:
    rows: list[dict[str, Any]] = json.loads((folder / "expected.json").read_text())
    contents = {row["file"]: (folder / row["file"]).read_bytes() for row in rows if (folder / row["file"]).is_file()}
    rows = [row for row in rows if row["file"] in contents]
    parsed_mails = [ParsedRow(row, parse_mail(contents[row["file"]])[0]) for row in rows]
    return [
        *_score_parsing(parsed_mails),
        *_score_ordinary_mails(folder),
        *await _score_delivery(stack, contents),
        *await _score_bounce_addresses(stack, contents, [row for row in rows if row.get("kind") in _MACHINES]),
    ]


def _score_parsing(parsed_mails: Sequence[ParsedRow]) -> list[Score]:
    machines = [parsed for parsed in parsed_mails if parsed.row.get("kind") in _MACHINES]
    labelled = [parsed for parsed in parsed_mails if parsed.row.get("expected") and parsed.row.get("kind")]
    unknown = [parsed for parsed in machines if parsed.mail.machine is None]
    for parsed in unknown:
        print(f"      not taken for a machine: {parsed.row['file']} ({parsed.row['kind']})", flush=True)
    return [
        Score(
            "machine mail known as such, no envelope",
            "share",
            1 - len(unknown) / max(1, len(machines)),
            ">= 0.985",
        ),
        Score(
            "recipients right",
            "share",
            _share(parsed.count == parsed.row["n_recipients"] for parsed in labelled),
            ">= 0.95",
        ),
        Score(
            "hard or soft right",
            "share",
            _share(parsed.is_hard == parsed.row["any_hardbounce"] for parsed in labelled),
            ">= 0.9",
        ),
        Score("labelled mails", "mails", len(labelled)),
    ]


def _score_ordinary_mails(folder: Path) -> list[Score]:
    """Count ordinary mails taken for machine mail, except those that declare themselves automatic (RFC 3834)."""
    named = [file for file in sorted((folder / "not").rglob("*")) if file.is_file()]
    replies = [file for file in sorted((folder.parent / "email-reply").rglob("*")) if file.suffix in (".eml", ".txt")]
    wrong: list[str] = []
    for file in (*named, *replies):
        content = file.read_bytes()
        headers = parse_headers(content)
        content = content if headers.has("from") else _ORDINARY + content
        sign = parse_mail(content)[0].machine
        if sign and _declares_automatic(headers):
            print(f"      sent by a machine, as it says: {file.relative_to(folder.parent)} ({sign})", flush=True)
        elif sign:
            print(f"      wrongly taken for a machine: {file.relative_to(folder.parent)} ({sign})", flush=True)
            wrong.append(file.name)
    subjects = list(_subjects(folder.parent / "routing"))
    mistaken = [subject for subject in subjects if find_machine_reason(parse_headers(_with_subject(subject)))]
    for subject in mistaken:
        print(f"      wrongly taken for a machine's subject: {subject[:60]}", flush=True)
    return [
        Score("ordinary mails", "mails", len(named) + len(replies)),
        Score("ordinary mails taken for a machine", "mails", len(wrong), "= 0"),
        Score("questions of the public, as subjects", "subjects", len(subjects)),
        Score("of these taken for a machine's", "subjects", len(mistaken), "= 0"),
    ]


def _subjects(folder: Path) -> Iterator[str]:
    """Yield questions of the public, shortened to subjects."""
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(errors="replace").splitlines():
            yield " ".join(str(json.loads(line).get("text", "")).split())[:150]


def _with_subject(subject: str) -> bytes:
    return f"From: une.personne@citizen.example\nSubject: {subject}\n\n".encode()


def _declares_automatic(headers: Headers) -> bool:
    submitted = headers.raw("auto-submitted").strip().lower()
    return submitted not in ("", "no") or headers.raw("return-path").strip() == "<>"


async def _score_delivery(stack: Stack, contents: dict[str, bytes]) -> list[Score]:
    """Send all from the null sender to the town's mailbox: each becomes one contact that gets no automatic reply."""
    different = {identify_message(content): content for content in contents.values()}  # some occur under several names
    answers = await _send_all(stack, [(content, RECIPIENT) for content in different.values()])
    prefix = stack.plan.topic_prefix
    written: Counter[str] = Counter()
    answerable = 0
    async for received in read_all_records(stack.kafka, [CONTACT_RECEIVED.full_name(prefix)]):
        if received.event_id in set(answers.ids):
            written[received.event_id] += 1
            answerable += ContactReceived.model_validate_json(received.value).machine is None
    requested = [received async for received in read_all_records(stack.kafka, [REPLY_REQUESTED.full_name(prefix)])]
    return [
        Score("refused for good (5xx)", "mails", sum(n for code, n in answers.codes.items() if code >= 500), "= 0"),
        Score("not taken (other than 250)", "mails", sum(n for code, n in answers.codes.items() if code != 250), "= 0"),
        Score(
            "of those taken, exactly one contact",
            "share",
            _share(written[contact_id] == 1 for contact_id in set(answers.ids)),
            "= 1",
        ),
        Score("contacts that a machine may answer", "contacts", answerable, "= 0"),
        Score("replies asked for", "replies", len(requested), "= 0"),
    ]


async def _score_bounce_addresses(
    stack: Stack, contents: dict[str, bytes], rows: Sequence[dict[str, Any]]
) -> list[Score]:
    """Send all to signed bounce addresses: bounces and complaints become reports, vacation notes become contacts."""
    key = stack.env["PARVIS_SECRET_KEY"].encode()
    replies = {make_reply_id("corpus", row["file"]): row for row in rows}
    mails = [(contents[row["file"]], make_bounce_address(reply, _DOMAIN, key)) for reply, row in replies.items()]
    answers = await _send_all(stack, mails)
    prefix = stack.plan.topic_prefix
    reported = Counter[str]()
    async for received in read_all_records(stack.kafka, [DELIVERY_REPORTED.full_name(prefix)]):
        reported[json.loads(received.value)["reply_id"]] += 1
    owed = [reply for reply, row in replies.items() if row["kind"] != "vacation"]
    missing = [replies[reply]["file"] for reply in owed if reported[reply] != 1]
    if missing:
        print(f"      contacts, not reports: {', '.join(missing)}", flush=True)
    away = [reply for reply, row in replies.items() if row["kind"] == "vacation"]
    return [
        Score(
            "to a bounce address: not taken", "mails", sum(n for code, n in answers.codes.items() if code != 250), "= 0"
        ),
        Score(
            "to a bounce address: one report each", "share", _share(reported[reply] == 1 for reply in owed), ">= 0.985"
        ),
        Score("vacation notes taken for reports", "mails", sum(reported[reply] for reply in away), "= 0"),
    ]


async def _send_all(stack: Stack, mails: Sequence[tuple[bytes, str]]) -> SmtpReplies:
    answers, free, port = SmtpReplies(), asyncio.Semaphore(_AT_ONCE), stack.port("ingest-email.smtp")

    async def send_one(content: bytes, recipient: str) -> None:
        async with free:
            code, reply = await asyncio.to_thread(_send, port, content, recipient)
        answers.codes[code] += 1
        if code == 250:
            answers.ids.append(reply.split()[-1])

    await asyncio.gather(*(send_one(content, recipient) for content, recipient in mails))
    return answers


def _send(port: int, content: bytes, recipient: str) -> tuple[int, str]:
    """Send one mail from the null sender; return the reply to DATA, or the refusal before it."""
    client = smtplib.SMTP("127.0.0.1", port, timeout=_PATIENCE_S)
    try:
        client.ehlo("mx.citizen.example")
        for code, reply in (client.docmd("MAIL FROM:<> SMTPUTF8"), client.rcpt(recipient)):
            if code != 250:
                return code, reply.decode("utf-8", "replace")
        code, reply = client.data(content)
        return code, reply.decode("utf-8", "replace")
    finally:
        client.close()


def _share(facts: Any) -> float:
    values = list(facts)
    return sum(values) / len(values) if values else 1.0


CORPUS = Corpus(
    name="email_bounce",
    folder="email-bounce",
    question="Is machine mail recognized, are its recipients found, and is it never answered?",
    run=run,
)
