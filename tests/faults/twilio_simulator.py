"""Runs the Twilio simulator and further ingest-sms processes beside a stack."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from pydantic import SecretStr

from parvis.common.contract.contact import ContactId, make_contact_id
from parvis.local.free_ports import FreePorts
from parvis.local.readiness import is_ready
from parvis.local.stack import Stack
from parvis.simulators.app import Simulators
from parvis.simulators.settings import Settings
from tests.faults.sms_load import TOWN_NUMBER, Attempt, ClientLog, Outcome
from tests.patience import PATIENCE_S

CITIZEN = "+33639980{:03d}"


@asynccontextmanager
async def start_twilio_simulator(stack: Stack, **settings: Any) -> AsyncGenerator[Simulators]:
    """Run the simulated Twilio at the address that the stack's services use; in this process, so that a scenario controls it."""
    folder = stack.plan.var / "outside"
    secret = SecretStr(stack.env["PARVIS_INGEST_SMS_TWILIO_AUTH_TOKEN"])
    settings = {"silence_s": 1} | settings
    wanted = Settings(
        twilio_port=stack.port("outside.twilio"), mail_smtp_port=0, mail_web_port=0,
        twilio_account_sid=stack.env["PARVIS_INGEST_SMS_TWILIO_ACCOUNT_SID"], twilio_auth_token=secret,
        mail_username="mairie", mail_password=secret, mail_certificate=folder / "relay.pem", mail_dir=folder / "mail",
        letters_dir=folder / "letters", **settings,
    )  # fmt: skip
    async with Simulators(wanted) as simulators:
        yield simulators


@asynccontextmanager
async def start_second_ingest_sms(stack: Stack, name: str, **environment: str) -> AsyncGenerator[str]:
    """Run a second ingest-sms with its own settings. Yields its public URL."""
    ports = FreePorts()
    port = ports.take()
    url = f"http://127.0.0.1:{port}"
    own = {"PARVIS_INGEST_SMS_PORT": str(port), "PARVIS_INGEST_SMS_PUBLIC_URL": url}
    with (stack.plan.var / "log" / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 (it starts at once)
            [sys.executable, "-m", "parvis.ingest_sms"], env=dict(stack.env) | own | environment, stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await asyncio.to_thread(is_ready, port):
                await asyncio.sleep(0.1)
        yield url
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, PATIENCE_S)
        ports.release()


class SmsCitizens:
    """Sends text messages through the simulator and logs their outcomes."""

    def __init__(self, simulators: Simulators, log: ClientLog) -> None:
        self._http = httpx.AsyncClient(base_url=simulators.twilio_url, trust_env=False, timeout=PATIENCE_S)
        self._log = log

    async def send_sms(self, number: int, body: str, *, outcome: Outcome | None = None, **more: Any) -> dict[str, Any]:
        """Send one message. `outcome` overrides the outcome that Twilio reports. Gives the simulator's answer."""
        sent_at, sender = time.time(), CITIZEN.format(number % 1000)
        sms = {"from": sender, "to": TOWN_NUMBER, "body": body} | more
        answer = (await self._http.post("/_sim/inbound", json=sms)).json()
        sender_outcome: Outcome = outcome or ("ok" if answer["outcome"] in {"accepted", "fallback"} else "unknown")
        self._log.write(Attempt(contact_id_of(answer["sid"]), sender, sender_outcome, sent_at, time.time()))
        return answer

    async def close(self) -> None:
        await self._http.aclose()


def contact_id_of(sid: str) -> ContactId:
    return make_contact_id("sms", TOWN_NUMBER, sid)
