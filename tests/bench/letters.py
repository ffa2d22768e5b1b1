"""Measures letters per minute and core from the folder to Kafka, compared with Tesseract alone on the same pictures."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil

from parvis.common.bus.topic_reader import read_all_records
from parvis.common.contract.topics import CONTACT_RECEIVED
from parvis.ingest_postal.sandbox.ocr.tesseract import TESSDATA
from parvis.local.letter import BIRTH_CERTIFICATE, make_scan
from parvis.local.stack import Stack
from tests.bench.measure import Bench, Measure

NAME = "ingest-postal"
LETTERS = int(os.environ.get("PARVIS_BENCH_LETTERS", "12"))  # noqa: TID251 (a setting of this benchmark)
ROUNDS = 3
WARM_UP = 2
PACE = {"SETTLE_S": "0", "POLL_S": "0.05", "READERS": "1"}


async def run(folder: Path) -> Sequence[Measure]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    environment = {f"PARVIS_INGEST_POSTAL_{name}": value for name, value in PACE.items()}
    measures: list[Measure] = []
    with Stack.start(folder / "town", services=[NAME], fsync=True, environment=environment) as stack:
        await _parvis(stack, _scans(folder / "warm-up", WARM_UP, 900))
        for number in range(ROUNDS):
            scans = _scans(folder / f"round-{number}", LETTERS, number * LETTERS)
            measures += await asyncio.to_thread(_plain, scans)
            measures += await _parvis(stack, scans)
    return measures


def _scans(folder: Path, count: int, first: int) -> Path:
    """Write different one-page letters at 200 dpi, slightly crooked and with scanner noise."""
    folder.mkdir()
    for number in range(first, first + count):
        letter = replace(BIRTH_CERTIFICATE, subject=f"demande numéro {number} de copie intégrale d’acte de naissance")
        scan = make_scan(letter, angle=(number % 7 - 3) * 0.3, noise=15, scan_format="tiff", seed=number)
        (folder / f"{number:04}.tiff").write_bytes(scan)
    return folder


def _plain(scans: Path) -> list[Measure]:
    command = [sys.executable, "-m", "tests.bench.bare_tesseract", str(TESSDATA), str(scans)]
    environment = {"OMP_THREAD_LIMIT": "1", "PATH": os.defpath}
    result = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    return _figures("plain-tesseract", result["wall_s"], result["cpu_s"], len(list(scans.iterdir())))


async def _parvis(stack: Stack, scans: Path) -> list[Measure]:
    """Put all scans into the folder at once, and wait until the last one is acknowledged and moved."""
    drop_box = stack.plan.var / "scans"
    count, done_before = len(list(scans.iterdir())), len(list((drop_box / "done").iterdir()))
    started_s, used_s = time.monotonic(), _cpu_s(stack)
    for scan in scans.iterdir():
        shutil.copy(scan, drop_box / "tmp" / scan.name)
        (drop_box / "tmp" / scan.name).rename(drop_box / "ready" / scan.name)
    async with asyncio.timeout(1200):
        while len(list((drop_box / "done").iterdir())) < done_before + count:
            await asyncio.sleep(0.05)
    wall_s, cpu_s = time.monotonic() - started_s, _cpu_s(stack) - used_s
    contacts = {read.event_id async for read in read_all_records(stack.kafka, [CONTACT_RECEIVED.full_name("parvis")])}
    return [
        *_figures("parvis", wall_s, cpu_s, count),
        Measure("parvis", "contacts on Kafka of files moved", "", len(contacts) / (done_before + count)),
        Measure("parvis", "memory of the service", "MiB", psutil.Process(stack.pid(NAME)).memory_info().rss / 1024**2),
        Measure("parvis", "memory of its reader", "MiB", sum(p.memory_info().rss for p in _readers(stack)) / 1024**2),
    ]


def _figures(contender: str, wall_s: float, cpu_s: float, letters: int) -> list[Measure]:
    return [
        Measure(contender, "letters a minute, one reader", "", 60 * letters / wall_s),
        Measure(contender, "letters a minute and core used", "", 60 * letters / cpu_s),
    ]


def _cpu_s(stack: Stack) -> float:
    """The processor time of the service and its readers."""
    processes = [psutil.Process(stack.pid(NAME)), *_readers(stack)]
    return sum(used.user + used.system for used in (process.cpu_times() for process in processes))


def _readers(stack: Stack) -> list[psutil.Process]:
    return psutil.Process(stack.pid(NAME)).children()


BENCH = Bench(
    f"letters a minute and core, {LETTERS} scanned pages a round, folder to Kafka, beside Tesseract alone", run
)
