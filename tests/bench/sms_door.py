"""Compares the SMS webhook with a bare handler that checks the signature and produces: requests per second, p99, CPU."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

import psutil
from twilio.request_validator import RequestValidator

from parvis.common.bus.admin import apply_topics
from parvis.common.contract.topics import Topic
from parvis.local.free_ports import FreePorts
from parvis.local.readiness import is_ready
from parvis.local.stack import Stack
from tests.bench.measure import Bench, Measure, percentile

ROUNDS, SECONDS, WARM_UP_S = 4, 8.0, 3.0
CONNECTIONS = 48
_SENDERS = 2000  # each far below the rate limit of one sender
TEXT = "Bonjour, le lampadaire devant le 12 rue des Lilas ne marche plus depuis lundi. Merci d’avance !"


class Webhooks:
    """Signed forms prepared in advance and posted over persistent connections as fast as the answers arrive."""

    def __init__(self, stack: Stack, port: int, name: str) -> None:
        self._port, self._name, self._made = port, name, 0
        self._account = stack.env["PARVIS_INGEST_SMS_TWILIO_ACCOUNT_SID"]
        self._validator = RequestValidator(stack.env["PARVIS_INGEST_SMS_TWILIO_AUTH_TOKEN"])

    def _request(self) -> bytes:
        self._made += 1
        sid = f"SM{hash((self._name, self._made)) & (1 << 127) - 1:032x}"
        form = {
            "ToCountry": "FR", "SmsMessageSid": sid, "NumMedia": "0", "ToCity": "", "SmsSid": sid, "SmsStatus": "received",
            "Body": TEXT, "FromCountry": "FR", "To": "+33536490100", "NumSegments": "1", "MessageSid": sid,
            "AccountSid": self._account, "From": f"+3363998{self._made % _SENDERS:04d}", "ApiVersion": "2010-04-01",
        }  # fmt: skip
        body = urlencode(form).encode()
        signature = self._validator.compute_signature(f"http://127.0.0.1:{self._port}/sms", form)
        head = (
            f"POST /sms HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nX-Twilio-Signature: {signature}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nUser-Agent: TwilioProxy/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def post(self, seconds: float, *, most: int) -> tuple[list[float], float]:
        """Post for some seconds. Gives: the latency of each answer, and the total time."""
        requests = [self._request() for _ in range(most)]
        waits_s: list[float] = []
        started_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._caller(requests, waits_s, started_s + seconds))
        return waits_s, time.monotonic() - started_s

    async def _caller(self, requests: list[bytes], waits_s: list[float], ends_at: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while requests and (at := time.monotonic()) < ends_at:
            writer.write(requests.pop())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"the webhook answers {head[:40]!r}")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            waits_s.append(time.monotonic() - at)
        writer.close()


async def run(folder: Path) -> Sequence[Measure]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ports = FreePorts()
    quiet = {"PARVIS_INGEST_SMS_RECONCILE_S": "0"}
    measures: list[Measure] = []
    with Stack.start(folder / "town", services=["ingest-sms"], environment=quiet) as stack:
        await apply_topics(stack.kafka, [Topic("bare", "", (), "", "")], prefix="bench", replication=1)
        port = ports.take()
        command = [sys.executable, "-m", "tests.bench.bare_sms_door", str(port)]
        bare = subprocess.Popen(command, env=dict(stack.env))  # noqa: ASYNC220 (it starts at once)
        try:
            async with asyncio.timeout(30):
                while not await asyncio.to_thread(is_ready, port):
                    await asyncio.sleep(0.1)
            doors = {
                "bare handler": (Webhooks(stack, port, "bare"), bare.pid),
                "parvis": (Webhooks(stack, stack.port("ingest-sms"), "parvis"), stack.pid("ingest-sms")),
            }
            for webhooks, _ in doors.values():
                await webhooks.post(WARM_UP_S, most=4000)
            for number in range(ROUNDS):
                order = list(doors.items())
                for name, (webhooks, pid) in order if number % 2 else order[::-1]:
                    measures += await _measure(name, webhooks, psutil.Process(pid))
        finally:
            bare.terminate()
            await asyncio.to_thread(bare.wait, 12)
            ports.release()
    return [*measures, *_ratios(measures)]


async def _measure(name: str, webhooks: Webhooks, process: psutil.Process) -> list[Measure]:
    before = process.cpu_times()
    waits_s, took_s = await webhooks.post(SECONDS, most=int(SECONDS * 2500))
    after = process.cpu_times()
    cpu_s = after.user + after.system - before.user - before.system
    return [
        Measure(name, "requests", "1/s", len(waits_s) / took_s),
        Measure(name, "p99", "ms", percentile(waits_s, 0.99) * 1000),
        Measure(name, "processor time a request", "ms", cpu_s / len(waits_s) * 1000),
    ]


def _ratios(measures: Sequence[Measure]) -> list[Measure]:
    """The ratio of our rate to the bare handler's, round by round."""
    rates = {
        name: [m.value for m in measures if (m.contender, m.metric) == (name, "requests")]
        for name in ("parvis", "bare handler")
    }
    ratios = [ours / theirs for ours, theirs in zip(rates["parvis"], rates["bare handler"], strict=True)]
    return [Measure("parvis / bare handler", "requests, target >= 0.7", "", ratio) for ratio in ratios]


BENCH = Bench(
    f"the SMS webhook at {CONNECTIONS} connections, compared with a bare handler that checks the signature and produces",
    run,
)
