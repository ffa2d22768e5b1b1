"""Measures whether hostile mails become one contact each, and compares their parts with those that mime4j finds."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parvis.ingest_email.parse.mail import parse_mail
from parvis.ingest_email.parse.message_identity import identify_message
from parvis.ingest_email.parse.mime.part_tree import MimePart, parse_part_tree
from parvis.local.stack import Stack
from tests.corpus.corpus import Corpus, Score
from tests.corpus.mail_door import contacts, deliver

_HANG_S = 10
_NO_MAILS = (".json", ".md", ".list")


async def run(folder: Path, stack: Stack) -> Sequence[Score]:
    mails = [(str(file.relative_to(folder)), _mail(file)) for file in sorted(folder.rglob("*")) if _is_mail(file)]
    return [*await _score_delivery(stack, mails), *_score_parts(folder, dict(mails)), *_score_silent_mails(mails)]


def _is_mail(file: Path) -> bool:
    return file.is_file() and file.suffix not in _NO_MAILS


def _mail(file: Path) -> bytes:
    """Return the mail; a bare winmail.dat is wrapped in one."""
    content = file.read_bytes()
    if file.suffix != ".tnef":
        return content
    head = b"From: camille@citizens.example\nSubject: TNEF\nContent-Type: application/ms-tnef; name=winmail.dat\n"
    return head + b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(content)


async def _score_delivery(stack: Stack, mails: Sequence[tuple[str, bytes]]) -> list[Score]:
    """Send each distinct mail once; copies that differ only in trace fields are the same contact."""
    pid = stack.pid("ingest-email")
    different = {identify_message(content): (name, content) for name, content in mails}
    answers = await deliver(stack, list(different.values()))
    written = await contacts(stack)
    accepted = [answer for answer in answers if answer.code == 250]
    lost = [answer.name for answer in answers if written.times[answer.contact_id] != 1]
    unreadable = sum(
        bool(written.by_id[answer.contact_id].unreadable) for answer in accepted if answer.name not in lost
    )
    if lost:
        print(f"      not one contact each: {', '.join(lost)}", flush=True)
    return [
        Score("mails", "mails", len(mails)),
        Score("different mails", "mails", len(answers)),
        Score("refused for good (5xx)", "mails", sum(answer.code >= 500 for answer in answers), "= 0"),
        Score("not taken (other than 250)", "mails", len(answers) - len(accepted), "= 0"),
        Score("not exactly one contact", "mails", len(lost), "= 0"),
        Score(f"answered after more than {_HANG_S} s", "mails", sum(a.seconds > _HANG_S for a in answers), "= 0"),
        Score("slowest answer", "s", max((answer.seconds for answer in answers), default=0)),
        Score("crashes of the door", "crashes", int(stack.pid("ingest-email") != pid), "= 0"),
        Score("contacts flagged unreadable", "contacts", unreadable),
    ]


@dataclass(frozen=True)
class _PartResult:
    """Which parts of one message are as expected."""

    leaves: bool
    kinds: bool
    texts: bool
    files: bool
    attachments: bool


def _score_parts(folder: Path, mails: dict[str, bytes]) -> list[Score]:
    """Compare with the expectations of mime4j's own tests."""
    expected = folder / "expected_mime4j.json"
    rows: list[dict[str, Any]] = json.loads(expected.read_text()) if expected.exists() else []
    judged = {row["file"]: _judge(mails[row["file"]], row) for row in rows if row["file"] in mails}
    wrong = [name for name, result in judged.items() if not (result.leaves and result.texts)]
    if wrong:
        print(f"      other leaves or texts than expected: {', '.join(wrong)}", flush=True)
    results = list(judged.values())
    return [
        Score("messages with expected parts", "mails", len(results)),
        Score(
            "leaves and texts as expected",
            "share",
            _share([result.leaves and result.texts for result in results]),
            ">= 0.95",
        ),
        Score("  number of leaves", "share", _share([result.leaves for result in results])),
        Score("  text or file", "share", _share([result.kinds for result in results])),
        Score("  decoded texts", "share", _share([result.texts for result in results])),
        Score("  decoded files", "share", _share([result.files for result in results])),
        Score("  number of attachments", "share", _share([result.attachments for result in results])),
    ]


def _judge(content: bytes, row: dict[str, Any]) -> _PartResult:
    leaves = list(parse_part_tree(content).root.leaves())
    expected: list[dict[str, Any]] = row["leaves"]
    pairs = list(zip(leaves, expected, strict=False))
    return _PartResult(
        leaves=len(leaves) == row["n_leaves"],
        kinds=all(_is_text(part) == (leaf["kind"] == "text-body") for part, leaf in pairs),
        texts=all(_is_same(part.decoded.content, leaf) for part, leaf in pairs if leaf["kind"] == "text-body"),
        files=all(_is_same(part.decoded.content, leaf) for part, leaf in pairs if leaf["kind"] != "text-body"),
        attachments=sum(part.disposition.word == "attachment" for part in leaves) == row["n_disposition_attachment"],
    )


def _is_text(part: MimePart) -> bool:
    return part.media_type.startswith(("text/", "message/"))


def _is_same(content: bytes, leaf: dict[str, Any]) -> bool:
    """Compare bytes except for line ends, which differ in the expectations."""
    ended = content.replace(b"\r\n", b"\n")
    if leaf["decoded_sha256"] in {
        hashlib.sha256(variant).hexdigest() for variant in (content, ended.replace(b"\n", b"\r\n"))
    }:
        return True
    text = leaf.get("decoded_text")
    return isinstance(text, str) and ended.decode("utf-8", "replace") == text.replace("\r\n", "\n")


def _score_silent_mails(mails: Sequence[tuple[str, bytes]]) -> list[Score]:
    """Count mails with content that show neither text nor files nor a reason."""
    silent: list[str] = []
    for name, content in mails:
        mail, files = parse_mail(content)
        if not (mail.text.strip() or files or mail.trouble) and any(
            leaf.decoded.content.strip() for leaf in parse_part_tree(content).root.leaves()
        ):
            silent.append(name)
    if silent:
        print(f"      neither shown nor flagged: {', '.join(silent)}", flush=True)
    return [Score("mails neither shown nor flagged", "mails", len(silent), "= 0")]


def _share(facts: Sequence[bool]) -> float:
    return sum(facts) / len(facts) if facts else 1.0


CORPUS = Corpus(
    name="email_hostile",
    folder="email-hostile",
    question="Does every mail become one contact with the right parts?",
    run=run,
)
