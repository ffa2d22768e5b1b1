"""F-33: scanners write slowly, lose power, repeat files and use hostile names, while ingest-postal is killed."""

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.contact import ContactReceived
from parvis.common.contract.topics import CONTACT_RECEIVED
from parvis.local.stack import Stack
from tests.faults.oracle import Verdict
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.patience import PATIENCE_S

NAME = "ingest-postal"
PACE = {"SETTLE_S": "1.2", "POLL_S": "0.2", "QUARANTINE_AFTER_S": "8", "READERS": "2"}
STRANGE_NAMES = (
    "-rf.pdf", "ligne\nsuivante.pdf", "\u202efdp.exe", "e\u0301te\u0301.pdf", "\u00e9t\u00e9.pdf", "Scan0001.PDF", "sans extension",
    "é" * 125 + ".pdf", os.fsdecode(b"\xff\xfe.pdf"), "2026-11-23/guichet/Scan0002.PDF",
)  # fmt: skip


@dataclass
class DroppedFiles:
    """The files put into the folder: letters by hash, and names that must end in quarantine."""

    whole: dict[str, bytes] = field(default_factory=dict[str, bytes])
    unusable: list[str] = field(default_factory=list[str])


async def run(workspace: Workspace, full: bool) -> Verdict:
    verdict, dropped_files = Verdict(), DroppedFiles()
    environment = {f"PARVIS_INGEST_POSTAL_{name}": value for name, value in PACE.items()}
    with start_town(workspace, [NAME], outside=False, **environment) as (stack, _log):
        scans = stack.plan.var / "scans"
        began = time.monotonic()
        slow = asyncio.create_task(
            asyncio.to_thread(_write_slowly, scans, dropped_files, *((60, 1.0) if full else (6, 0.5)))
        )
        _drop_files(scans, dropped_files, 10_000 if full else 40)
        await _wait_until(lambda: len(_names(scans / "done")) > 5, PATIENCE_S)
        stack.kill(NAME)
        await slow
        await _wait_until(lambda: not _names(scans / "ready"), 3600 if full else PATIENCE_S)
        verdict.figures["folder empty ms"] = int((time.monotonic() - began) * 1000)
        verdict.figures["ingest-postal MiB"] = psutil.Process(stack.pid(NAME)).memory_info().rss // 1024**2
        await _check_expectations(verdict, stack, scans, dropped_files)
    return verdict


def build_letter(number: int) -> bytes:
    """Build a small valid PDF with content of its own."""
    sentence = f"Bonjour, la lettre numero {number} demande une copie d'acte de naissance."
    stream = f"BT /F1 10 Tf 20 50 Td ({sentence}) Tj ET".encode()
    bodies = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 100]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    pdf, offsets = b"%PDF-1.4\n", list[int]()
    for position, body in enumerate(bodies, 1):
        offsets.append(len(pdf))
        pdf += b"%d 0 obj%s\nendobj\n" % (position, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return pdf + b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (
        table,
        len(pdf),
    )


def _drop_files(scans: Path, dropped_files: DroppedFiles, letters: int) -> None:
    for number, name in enumerate(STRANGE_NAMES):
        _drop(scans, dropped_files, name, build_letter(100_000 + number))
    for number in range(letters):
        _drop(scans, dropped_files, f"scan-{number:05}.pdf", build_letter(number))
    for number in range(0, letters, 10):  # the same content under another name
        _drop(scans, dropped_files, f"twin-{number:05}.pdf", build_letter(number))
    for name, content in _unusable_files():
        (scans / "ready" / name).write_bytes(content)
        dropped_files.unusable.append(name)
    os.mkfifo(scans / "ready" / "pipe.pdf")
    (scans / "ready" / "link.pdf").symlink_to("/etc/hostname")
    (scans / "ready" / "half.pdf.tmp").write_bytes(build_letter(200_000)[:100])  # still being written: must be ignored
    dropped_files.unusable += ["pipe.pdf", "link.pdf"]


def _unusable_files() -> Iterator[tuple[str, bytes]]:
    """Yield truncated files and files that are no scans."""
    letter = build_letter(300_000)
    for share in (1, 30, 60, 90, 99):
        yield f"cut-{share}.pdf", letter[: len(letter) * share // 100]
    yield "empty.pdf", b""
    yield "words.pdf", b"Bonjour, ceci n'est pas un PDF."
    yield "alone.json", b'{"received_at": "2026-11-23"}'


def _drop(scans: Path, dropped_files: DroppedFiles, name: str, content: bytes) -> None:
    """Write a file directly into the watched folder, as a Windows scanner does."""
    target = scans / "ready" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # the file system does not allow the name
        target.write_bytes(content)
        dropped_files.whole[hashlib.sha256(content).hexdigest()] = content


def _write_slowly(scans: Path, dropped_files: DroppedFiles, last_bytes: int, pause_s: float) -> None:
    """Write the end of a letter byte by byte, with pauses shorter than the settle time."""
    content = build_letter(400_000)
    with (scans / "ready" / "slow.pdf").open("wb", buffering=0) as scanner:
        scanner.write(content[:-last_bytes])
        for offset in range(len(content) - last_bytes, len(content)):
            time.sleep(pause_s)
            scanner.write(content[offset : offset + 1])
    dropped_files.whole[hashlib.sha256(content).hexdigest()] = content


async def _check_expectations(verdict: Verdict, stack: Stack, scans: Path, dropped_files: DroppedFiles) -> None:
    topic = CONTACT_RECEIVED.full_name(stack.plan.topic_prefix)
    contacts = [
        ContactReceived.model_validate_json(read.value) async for read in read_all_records(stack.kafka, [topic])
    ]
    contents = {contact.contact_id: contact.original.sha256 for contact in contacts}
    accepted = set(contents.values())
    verdict.expect(
        accepted <= dropped_files.whole.keys(),
        f"{len(accepted - dropped_files.whole.keys())} partial files were accepted",
    )
    verdict.expect(
        dropped_files.whole.keys() <= accepted, f"{len(dropped_files.whole.keys() - accepted)} letters are lost"
    )
    verdict.expect(len(contents) == len(accepted), "one content has two contacts")
    quarantined = _names(scans / "quarantine")
    files = [name for name in quarantined if not name.endswith(".reason.txt")]
    verdict.expect(
        len(files) == len(dropped_files.unusable),
        f"{len(files)} of {len(dropped_files.unusable)} files are in quarantine",
    )
    verdict.expect(
        all(f"{name}.reason.txt" in quarantined for name in files), "a file in quarantine has no reason beside it"
    )
    verdict.figures |= {"letters": len(accepted), "doubles on contact.received": len(contacts) - len(contents)}
    verdict.figures |= {"in quarantine": len(files), "in done": len(_names(scans / "done"))}


def _names(folder: Path) -> set[str]:
    """The names of all files below the folder, without those still being written."""
    return {
        path.name for path in folder.rglob("*") if (path.is_symlink() or not path.is_dir()) and path.suffix != ".tmp"
    }


async def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
    ends_at = time.monotonic() + seconds
    while not condition() and time.monotonic() < ends_at:
        await asyncio.sleep(0.2)


SCENARIO = OwnTownScenario(
    "F-33",
    "scanners that write byte by byte or lose power, duplicates, hostile names, 10,000 files at once; the service killed meanwhile",
    "no partial letter; one contact a content; all else in quarantine with its reason; I1",
    run,
)
