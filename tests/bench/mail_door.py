"""Measures mails per second with 20 connections against a bare aiosmtpd sink, and memory over 20,000 mails."""

import asyncio
import os
import shutil
import smtplib
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from parvis.common.bus.admin import apply_topics
from parvis.common.contract.topics import Topic
from parvis.local.free_ports import FreePorts
from parvis.local.readiness import listens
from parvis.local.stack import Stack
from tests.bench.measure import Bench, Measure
from tests.faults.smtp_client import RECIPIENT, SENDER

ROUNDS = 3
CONNECTIONS = 20
MAILS = int(os.environ.get("PARVIS_BENCH_MAILS", "2000"))  # noqa: TID251 (a benchmark's own knob)
LONG_RUN = int(os.environ.get("PARVIS_BENCH_LONG_RUN", "20000"))  # noqa: TID251 (0 leaves it out)
WARM_UP, FIRST_LOOK = 300, 2000
SIZE_BYTES = 5000
_SOURCE = shutil.which("smtp-source", path="/usr/sbin:/usr/lib/postfix:/usr/libexec/postfix:/usr/bin")
_UNLIMITED = {
    "PARVIS_INGEST_EMAIL_DOMAIN_MAILS_PER_MINUTE": "1000000",  # all come from one domain here
    "PARVIS_LOG_FORMAT": "json",
}


async def run(folder: Path) -> Sequence[Measure]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ports, measures = FreePorts(), list[Measure]()
    with Stack.start(folder / "town", services=["ingest-email"], environment=_UNLIMITED) as stack:
        await apply_topics(stack.kafka, [Topic("bare-mail", "", (), "", "")], prefix="bench", replication=1)
        port = ports.take()
        command = [sys.executable, "-m", "tests.bench.bare_mail_door", str(port)]
        bare = subprocess.Popen(command, env=dict(stack.env))  # noqa: ASYNC220 (it starts at once)
        try:
            async with asyncio.timeout(30):
                while not listens(port):
                    await asyncio.sleep(0.1)
            doors = {"bare sink": port, "parvis": stack.port("ingest-email.smtp")}
            pids = {"bare sink": bare.pid, "parvis": stack.pid("ingest-email")}
            for one in doors.values():
                await asyncio.to_thread(_send, one, WARM_UP)
            for number in range(ROUNDS):
                order = list(doors.items())
                for name, one in order if number % 2 else order[::-1]:
                    measures += await _measure(name, one, pids[name])
        finally:
            bare.terminate()
            await asyncio.to_thread(bare.wait, 12)
            ports.release()
        if LONG_RUN:
            measures += await _memory(stack, doors["parvis"])
    return [*measures, *_ratios(measures)]


async def _measure(name: str, port: int, pid: int) -> list[Measure]:
    before_s = _processor_s(pid)
    rate = await asyncio.to_thread(_send, port, MAILS)
    return [
        Measure(name, f"mails of {SIZE_BYTES} bytes", "1/s", rate),
        Measure(name, "processor time a mail", "ms", (_processor_s(pid) - before_s) / MAILS * 1000),
    ]


def _processor_s(pid: int) -> float:
    """What the door and the processes it reads with have used, those that are gone too."""
    door = psutil.Process(pid)
    own = door.cpu_times()
    others = [process.cpu_times() for process in door.children(recursive=True)]
    return own.children_user + own.children_system + sum(each.user + each.system for each in (own, *others))


async def _memory(stack: Stack, port: int) -> list[Measure]:
    """What the door, and the processes it reads with, hold after some mails and after many."""
    door = psutil.Process(stack.pid("ingest-email"))
    await asyncio.to_thread(_send, port, FIRST_LOOK)
    early_mb = _resident_mb(door)
    await asyncio.to_thread(_send, port, LONG_RUN - FIRST_LOOK)
    late_mb = _resident_mb(door)
    return [
        Measure("parvis", f"memory after {FIRST_LOOK} mails", "MB", early_mb),
        Measure("parvis", f"memory after {LONG_RUN} mails", "MB", late_mb),
    ]


def _resident_mb(door: psutil.Process) -> float:
    return sum(process.memory_info().rss for process in (door, *door.children(recursive=True))) / 1024 / 1024


def _send(port: int, mails: int) -> float:
    """Mails a second; by Postfix's smtp-source where it is installed, else by threads with the standard library."""
    began = time.monotonic()
    if _SOURCE:
        ends = ["-f", SENDER, "-t", RECIPIENT, f"127.0.0.1:{port}"]
        command = [_SOURCE, "-d", "-s", str(CONNECTIONS), "-m", str(mails), "-l", str(SIZE_BYTES), *ends]
        subprocess.run(command, check=True, timeout=900)
    else:
        with ThreadPoolExecutor(CONNECTIONS) as senders:
            shares = [senders.submit(_send_some, port, each, mails // CONNECTIONS) for each in range(CONNECTIONS)]
            for share in shares:
                share.result()
    return mails / (time.monotonic() - began)


def _send_some(port: int, number: int, mails: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as client:
        for each in range(mails):
            head = f"From: {SENDER}\r\nTo: {RECIPIENT}\r\nMessage-ID: <{time.time()}.{number}.{each}@citizen.example>\r\n\r\n"
            client.sendmail(SENDER, [RECIPIENT], head + "x" * 78 + ("\r\n" + "x" * 78) * (SIZE_BYTES // 80))


def _ratios(measures: Sequence[Measure]) -> list[Measure]:
    """The door's part of the bare sink's rate, round by round."""
    ours, theirs = (
        [m.value for m in measures if m.contender == name and m.unit == "1/s"] for name in ("parvis", "bare sink")
    )
    return [Measure("parvis / bare sink", "mails, target >= 0.5", "", a / b) for a, b in zip(ours, theirs, strict=True)]


BENCH = Bench(f"the mail door at {CONNECTIONS} connections, against a bare aiosmtpd sink that produces", run)
