"""Submits strings that break web sites: each is stored to the last character, and stays text on every page."""

import asyncio
import gzip
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract import topics
from parvis.common.contract.contact import make_contact_id
from parvis.local.stack import Stack
from tests.corpus.corpus import Corpus, Score
from tests.corpus.pages import Pages, hidden

FORM, LONGEST, READ_BYTES = "general-question", 4000, 64 * 1024
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
BOMBS = ("xml-bombs", "clamav-testfiles", "zip-bombs-private")


@dataclass
class Seen:
    """What became of the strings and of the files."""

    sent: dict[str, str] = field(default_factory=dict[str, str])  # contact id → what was typed
    refused: list[str] = field(default_factory=list[str])
    broken: int = 0  # answers of 5xx
    odd_pages: int = 0


async def run(folder: Path, stack: Stack) -> Sequence[Score]:
    strings = list(dict.fromkeys(piece for text in _strings(folder) for piece in _pieces(text)))
    url = f"{stack.url('ingest-web')}/demarches/{FORM}"
    seen = Seen()
    async with httpx.AsyncClient(timeout=30) as http, Pages.watching() as pages:
        # The second is a mail address: the form with it is taken at once, and then asks whether the next is another.
        texts = ("Bonjour,\nla piscine ?", "camille@example-town.example")
        innocent = [await _shown(http, url, text, Seen()) for text in texts]
        await pages.learn([page for several in innocent for page in several])
        for start in range(0, len(strings), 8):
            batch = strings[start : start + 8]
            shown = await asyncio.gather(*(_shown(http, url, text, seen) for text in batch))
            seen.odd_pages += await pages.odd_ones([page for several in shown for page in several])
        slowest_s, grown_mb, dealt_with = await _bombs(folder, http, url, stack)
    exact, contacts = await _stored(stack, seen)
    return [
        Score("strings typed", "", len(strings)),
        Score("accepted", "share", 1 - len(seen.refused) / max(1, len(strings)), ">= 0.99"),
        Score("original exact, character by character", "share", exact / max(1, len(seen.sent)), ">= 1"),
        Score("contact exact, but for control characters", "share", contacts / max(1, len(seen.sent)), ">= 1"),
        Score("pages with anything but text in them", "", seen.odd_pages, "= 0"),
        Score(f"answers of 5xx (pages read by {pages.reader})", "", seen.broken, "= 0"),
        Score("bombs refused or flagged", "share", dealt_with, ">= 1"),
        Score("slowest bomb", "s", slowest_s, "<= 1"),
        Score("memory of the door grown by bombs", "MB", grown_mb, "<= 100"),
    ]


def _strings(folder: Path) -> Iterator[str]:
    """Every string of the set: lists in JSON, lists in lines, whole documents as text."""
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.parent.name not in BOMBS):
        if file.name == "SOURCE.md":
            continue
        if file.suffix == ".json":
            yield from _in_json(json.loads(file.read_text(encoding="utf-8")))
        elif file.suffix == ".gz":
            with gzip.open(file) as packed:
                yield packed.read(READ_BYTES).decode("utf-8", "replace")
        elif file.suffix == ".txt":
            yield from (line for line in file.read_text(encoding="utf-8", errors="replace").split("\n") if line)
        else:
            yield file.read_bytes()[:READ_BYTES].decode("utf-8", "replace")


def _in_json(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        yield from _in_json(node.get("payload", ""))
    elif isinstance(node, list):
        for one in node:
            yield from _in_json(one)


def _pieces(text: str) -> list[str]:
    text = text.replace("\r\n", "\n").replace("\r", "\n")  # as a browser sends line ends, and as they are kept
    return [text[start : start + LONGEST] for start in range(0, min(len(text), 5 * LONGEST), LONGEST)]


def _body(fields: dict[str, str]) -> dict[str, Any]:
    return {name: (None, value.encode()) for name, value in fields.items()}


async def _shown(http: httpx.AsyncClient, url: str, text: str, seen: Seen) -> list[str]:
    """Type it everywhere, and send it as a browser does; the pages that showed it."""
    answers = {"message": text if text.strip() else ".", "subject": text[:120], "your-name": text[:120]}
    form = hidden((await http.get(url)).text)
    mistaken = await http.post(url, files=_body(form | answers | {"reply-channel": "email", "reply-email": text[:200]}))
    looked = await http.post(url, files=_body(form | answers | {"reply-channel": "none", "_step": "review"}))
    sent = await http.post(url, files=_body(hidden(looked.text)))
    pages = [mistaken.text, looked.text]
    seen.broken += sum(answer.status_code >= 500 for answer in (mistaken, looked, sent))
    taken = next(
        (answer for answer in (mistaken, sent) if answer.status_code == 303), None
    )  # a mail address is no mistake
    if taken:
        seen.sent[make_contact_id("web", FORM, form["_once"].split(".")[0])] = text
        pages.append((await http.get(f"{url.partition('/demarches')[0]}{taken.headers['location']}")).text)
    else:
        seen.refused.append(text)
    return pages


async def _stored(stack: Stack, seen: Seen) -> tuple[int, int]:
    """How many strings stand in the original as they were typed, and in the event but for control characters."""
    blobs = Path(stack.env["PARVIS_BLOBS_URL"].removeprefix("file://"))
    exact = 0
    for contact, text in seen.sent.items():
        originals = [json.loads(file.read_bytes()) for file in (blobs / contact).glob("?" * 64) if _is_original(file)]
        shown = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")  # no page can carry a NUL; this one went through two
        typed = originals[0]["fields"] if originals else {}
        exact += typed.get("message") == [shown if text.strip() else "."] and typed.get("subject") == [shown[:120]]
    return exact, await _in_events(stack, seen)


def _is_original(file: Path) -> bool:
    return file.read_bytes()[:10] == b'{"fields":'


async def _in_events(stack: Stack, seen: Seen) -> int:
    name = topics.CONTACT_RECEIVED.full_name(stack.plan.topic_prefix)
    events: dict[str, dict[str, Any]] = {}
    for _ in range(100):
        told = [json.loads(record.value or b"{}") async for record in read_all_records(stack.kafka, [name])]
        events = {event["contact_id"]: event for event in told}
        if seen.sent.keys() <= events.keys():
            break
        await asyncio.sleep(0.2)
    return sum(
        not text.strip()
        or events[contact]["personal"]["answers"]["message"] == _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)
        for contact, text in seen.sent.items()
        if contact in events
    )


async def _bombs(folder: Path, http: httpx.AsyncClient, url: str, stack: Stack) -> tuple[float, float, float]:
    """Upload each; the slowest answer, what the door's memory grew by, the share that was refused or kept for people."""
    pid = json.loads((stack.plan.var / "up.json").read_text())["services"]["ingest-web"]["pid"]
    before, slowest, dealt_with, files = (
        _peak_mb(pid),
        0.0,
        0,
        [f for b in BOMBS for f in sorted((folder / b).glob("*"))],
    )
    for file in files:
        form = hidden((await http.get(url)).text)
        body = _body(form | {"message": "Voir le fichier.", "reply-channel": "none"})
        began = time.monotonic()
        answer = await http.post(url, files=body | {"documents": (file.name, file.read_bytes())})
        slowest = max(slowest, time.monotonic() - began)
        dealt_with += answer.status_code in {303, 422}
    return slowest, _peak_mb(pid) - before, dealt_with / max(1, len(files))


def _peak_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


CORPUS = Corpus("web-hostile", "web-hostile", "is what is typed kept exactly, and shown as nothing but text?", run)
