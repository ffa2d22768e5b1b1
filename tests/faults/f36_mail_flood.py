"""F-36: one source floods ingest-email, beside large mails; other citizens are served, and memory stays bounded."""

import asyncio
import base64
import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench.measure import percentile
from tests.faults.oracle import Verdict, read_state
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.faults.smtp_client import SmtpAnswers, build_mail, connect
from tests.patience import PATIENCE_S

_LONGEST_P99_S = 5.0
_MOST_MB = 700  # of the service's main process: its size at rest, the memory budget for large mails, and their copies
_NUMBERS = itertools.count()
_FLOODER, _BULKY = "robot@flood.example", "photos@citizens.example"


async def run(workspace: Workspace, full: bool) -> Verdict:
    seconds, large_bytes, large = (60.0, 38 * 1024 * 1024, 24) if full else (6.0, 5 * 1024 * 1024, 8)
    verdict, flood, others, bulky = Verdict(), SmtpAnswers(), SmtpAnswers(), SmtpAnswers()
    limits = {"PARVIS_INGEST_EMAIL_DOMAIN_MAILS_PER_MINUTE": "300" if full else "15"}
    with start_town(workspace, ["ingest-email"], outside=False, **limits) as (stack, _log):
        port, ends_at = stack.port("ingest-email.smtp"), time.monotonic() + seconds
        with ThreadPoolExecutor(29, thread_name_prefix="sender") as senders:
            jobs = [senders.submit(_send_flood, port, flood, ends_at) for _ in range(16)]
            jobs += [senders.submit(_send_large, port, bulky, large_bytes, large // 8) for _ in range(8)]
            jobs += [senders.submit(_send_as_citizen, port, others, number, ends_at) for number in range(4)]
            jobs.append(senders.submit(_send_too_large, port, bulky, 200 if full else 2))
            await asyncio.gather(*map(asyncio.wrap_future, jobs))
        peak_mb = _peak_mb(stack.pid("ingest-email"))
        arrived = {received.event_id for received in (await read_state(stack)).received}
    _check_expectations(verdict, flood, bulky, others, arrived, peak_mb, full=full)
    verdict.expect(bulky.codes[250] == large, f"{bulky.codes[250]} of {large} large mails were accepted")
    return verdict


def _check_expectations(
    verdict: Verdict,
    flood: SmtpAnswers,
    bulky: SmtpAnswers,
    others: SmtpAnswers,
    arrived: set[str],
    peak_mb: int,
    *,
    full: bool,
) -> None:
    p99_s = percentile(others.waits_s, 0.99)
    accepted = flood.ids | bulky.ids | others.ids
    verdict.expect(accepted <= arrived, f"I4: {len(accepted - arrived)} accepted mails are not in Kafka")
    verdict.expect(set(others.codes) == {250}, f"other citizens got {dict(others.codes)}")
    verdict.expect(set(flood.codes) == {250, 451}, f"the flood got {dict(flood.codes)}")
    verdict.expect_within(p99_s, _LONGEST_P99_S, "one in a hundred other citizens waited", full=full)
    verdict.expect(peak_mb < _MOST_MB, f"ingest-email grew to {peak_mb} MB")
    verdict.figures |= {"flood: accepted": flood.codes[250], "flood: deferred": flood.codes[451]}
    verdict.figures |= {"large: accepted": bulky.codes[250], "too large": bulky.codes[552], "others": others.codes[250]}
    verdict.figures |= {"others p99 ms": int(p99_s * 1000), "others max ms": int(max(others.waits_s) * 1000)}
    verdict.figures["peak memory, MB"] = peak_mb


def _send_flood(port: int, answers: SmtpAnswers, ends_at: float) -> None:
    """Send as fast as possible over one connection, whatever the replies."""
    with connect(port) as client:
        while time.monotonic() < ends_at:
            answers.send(client, _FLOODER, build_mail(next(_NUMBERS)))


def _send_as_citizen(port: int, answers: SmtpAnswers, number: int, ends_at: float) -> None:
    """Send as an ordinary citizen, with a new connection for each mail."""
    while time.monotonic() < ends_at:
        with connect(port) as client:
            answers.send(client, f"une.personne@citizens-{number}.example", build_mail(next(_NUMBERS)))
        time.sleep(0.2)


def _send_large(port: int, answers: SmtpAnswers, size_bytes: int, count: int) -> None:
    """Send large mails in turn, each again until it is accepted."""
    with connect(port) as client:
        for _ in range(count):
            content = _with_photo(next(_NUMBERS), size_bytes)
            ends_at = time.monotonic() + PATIENCE_S
            while answers.send(client, _BULKY, content) != 250 and time.monotonic() < ends_at:
                time.sleep(0.2)


def _with_photo(number: int, size_bytes: int) -> bytes:
    head = f'Content-Type: image/jpeg; name="photo-{number}.jpeg"\r\nContent-Transfer-Encoding: base64\r\nMIME-Version: 1.0\r\n'
    line = base64.b64encode(b"\xff\xd8\xff" + number.to_bytes(4, "big") * 13 + b"\0\0") + b"\r\n"
    return head.encode() + build_mail(number).partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + line * (size_bytes // len(line))


def _send_too_large(port: int, answers: SmtpAnswers, count: int) -> None:
    """Send mails of 50 MB. Every tenth declares no size and is refused only at its end."""
    content = build_mail(next(_NUMBERS)) + (b"x" * 998 + b"\r\n") * 50_000
    with connect(port) as client:
        for number in range(count):
            answers.send(client, _BULKY, content, is_declared=bool(number % 10))


def _peak_mb(pid: int) -> int:
    """The peak resident memory of the process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


SCENARIO = OwnTownScenario(
    "F-36",
    "a flood from one source, large and too large mails beside it",
    "other citizens' p99 < 5 s; memory bounded; I4",
    run,
    missing_requirement=lambda: (
        None if Path("/proc/self/status").exists() else "peak memory is read from /proc, which this machine lacks"
    ),
)
