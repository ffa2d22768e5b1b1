"""F-36: one source floods the doors with mails, dots, HTTP heads, half-sent forms and files; other citizens are served, and memory stays bounded."""

import asyncio
import base64
import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from parvis.local.stack import Stack
from tests.faults.attacker_process import start_attacker
from tests.faults.http_flood import FormAnswers, check_waits, flood_http
from tests.faults.oracle import Verdict, read_state
from tests.faults.outsider import why_no_outsiders
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.faults.smtp_client import SmtpAnswers, build_mail, connect
from tests.patience import PATIENCE_S

_MOST_MB = 700  # of the service's main process: its size at rest, the memory budget for large mails, and their copies
_NUMBERS = itertools.count()
_FLOODER, _BULKY = "robot@flood.example", "photos@citizens.example"


async def run(workspace: Workspace, full: bool) -> Verdict:
    seconds, large_bytes, large = (60.0, 38 * 1024 * 1024, 24) if full else (6.0, 5 * 1024 * 1024, 8)
    verdict = Verdict()
    limits = {
        "PARVIS_HTTP_PROXIES": "127.0.0.1/32",
        "PARVIS_INGEST_EMAIL_DOMAIN_MAILS_PER_MINUTE": "300" if full else "15",
        "PARVIS_INGEST_WEB_FILES_MB_PER_MINUTE": "20" if full else "1",
    }
    with start_town(workspace, ["ingest-email", "ingest-web"], outside=False, **limits) as (stack, _log):
        port, url = stack.port("ingest-email.smtp"), stack.url("ingest-web")
        calm_mails, calm_forms = await _serve_citizens(stack, time.monotonic() + (15 if full else 0))
        # The flooders have processes of their own: in one with the citizens, Python's lock would be what these wait for.
        async with start_attacker(_send_floods) as mail_flooder, start_attacker(flood_http) as http_flooder:
            ends_at = time.monotonic() + seconds
            floods = mail_flooder.run(_send_floods, port, ends_at, large_bytes, large, too_large=200 if full else 2)
            http = http_flooder.run(flood_http, url, ends_at, full=full)
            (flood, bulky, dotted), refusals, (others, forms) = await asyncio.gather(
                floods, http, _serve_citizens(stack, ends_at)
            )
        peak_mb = max(_peak_mb(stack.pid(name)) for name in ("ingest-email", "ingest-web"))
        await forms.wait_until_published(stack)
        arrived = {received.event_id for received in (await read_state(stack)).received}
    verdict.expect(bulky.codes[250] >= large, f"{bulky.codes[250]} of {large} large mails were accepted")
    verdict.expect(dotted.codes[250] > 0, f"mails of dots got {dict(dotted.codes)}")
    verdict.figures |= {"dots: accepted": dotted.codes[250], "dots: deferred": dotted.codes[452]}
    bulky.ids |= dotted.ids
    _check_expectations(verdict, flood, bulky, others, arrived, peak_mb)
    refusals.check(verdict)
    check_waits(verdict, "mails", others.waits_s, calm_mails.waits_s, full=full)
    check_waits(verdict, "forms", forms.waits_s, calm_forms.waits_s, full=full)
    forms.check(verdict, arrived)
    return verdict


async def _serve_citizens(stack: Stack, ends_at: float) -> tuple[SmtpAnswers, FormAnswers]:
    """Send mails and forms as ordinary citizens, at least one form."""
    mails, forms, port = SmtpAnswers(), FormAnswers(), stack.port("ingest-email.smtp")
    senders = (asyncio.to_thread(_send_as_citizen, port, mails, number, ends_at) for number in range(4))
    await asyncio.gather(*senders, forms.send_until(stack, ends_at))
    return mails, forms


async def _send_floods(
    port: int, ends_at: float, large_bytes: int, large: int, *, too_large: int
) -> tuple[SmtpAnswers, SmtpAnswers, SmtpAnswers]:
    """Send all floods of mails. Gives the answers to the small mails, to the large ones and to those of dots."""
    flood, bulky, dotted = SmtpAnswers(), SmtpAnswers(), SmtpAnswers()
    with ThreadPoolExecutor(26, thread_name_prefix="sender") as senders:
        jobs = [senders.submit(_send_flood, port, flood, ends_at) for _ in range(16)]
        jobs += [senders.submit(_send_large, port, bulky, large_bytes, large // 8) for _ in range(8)]
        jobs.append(senders.submit(_send_too_large, port, bulky, too_large))
        jobs.append(senders.submit(_send_dotted, port, dotted, large_bytes, ends_at))
    for job in jobs:
        job.result()
    return flood, bulky, dotted


def _check_expectations(
    verdict: Verdict,
    flood: SmtpAnswers,
    bulky: SmtpAnswers,
    others: SmtpAnswers,
    arrived: set[str],
    peak_mb: int,
) -> None:
    accepted = flood.ids | bulky.ids | others.ids
    verdict.expect(accepted <= arrived, f"I4: {len(accepted - arrived)} accepted mails are not in Kafka")
    verdict.expect(set(others.codes) == {250}, f"other citizens got {dict(others.codes)}")
    verdict.expect(set(flood.codes) == {250, 451}, f"the flood got {dict(flood.codes)}")
    verdict.expect(peak_mb < _MOST_MB, f"a service grew to {peak_mb} MB")
    verdict.figures |= {"flood: accepted": flood.codes[250], "flood: deferred": flood.codes[451]}
    verdict.figures |= {"large: accepted": bulky.codes[250], "too large": bulky.codes[552], "others": others.codes[250]}
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
            answers.send(client, f"une.personne@citizens-{number}.example", build_mail(1_000_000 + next(_NUMBERS)))
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


def _send_dotted(port: int, answers: SmtpAnswers, size_bytes: int, ends_at: float) -> None:
    """Send mails whose lines all end with a dot, at least until one is accepted: beside so many large ones it is deferred."""
    latest = ends_at + PATIENCE_S
    while time.monotonic() < (ends_at if answers.codes[250] else latest):
        with connect(port) as client:
            answers.send(client, "robot@dots.example", build_mail(next(_NUMBERS)) + b"a.\r\n" * (size_bytes // 4))


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
    "a minute of floods from one source: mails over 16 connections, mails of dots, large and too large mails; HTTP heads without end, 1,000 half-sent forms, files of forms that are never sent",
    "p99 of other citizens' mails and forms at most 1 s more than without the floods; memory bounded; I4",
    run,
    missing_requirement=lambda: (
        why_no_outsiders()
        if Path("/proc/self/status").exists()
        else "peak memory is read from /proc, which this machine lacks"
    ),
)
