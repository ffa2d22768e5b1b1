"""Twilio itself beside a stack, and other doors of ours for it to knock at."""

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
from tests.faults.load import TOWN_NUMBER, Attempt, ClientLog, Outcome
from tests.patience import PATIENCE_S

CITIZEN = "+33639980{:03d}"


@asynccontextmanager
async def simulator(stack: Stack, **settings: Any) -> AsyncGenerator[Simulators]:
    """The simulated Twilio, where this stack's doors look for it; in this process, so that it can be told anything."""
    folder = stack.plan.var / "outside"
    secret = SecretStr(stack.env["PARVIS_INGEST_SMS_TWILIO_AUTH_TOKEN"])
    settings = {"silence_s": 1} | settings
    wanted = Settings(
        twilio_port=stack.port("outside.twilio"), mail_smtp_port=0, mail_web_port=0,
        twilio_account_sid=stack.env["PARVIS_INGEST_SMS_TWILIO_ACCOUNT_SID"], twilio_auth_token=secret,
        mail_username="mairie", mail_password=secret, mail_certificate=folder / "relay.pem", mail_dir=folder / "mail",
        letters_dir=folder / "letters", **settings,
    )  # fmt: skip
    async with Simulators(wanted) as outside:
        yield outside


@asynccontextmanager
async def another_door(stack: Stack, name: str, **environment: str) -> AsyncGenerator[str]:
    """A second ingest-sms with settings of its own; its public URL."""
    ports = FreePorts()
    port = ports.take()
    url = f"http://127.0.0.1:{port}"
    own = {"PARVIS_INGEST_SMS_PORT": str(port), "PARVIS_INGEST_SMS_PUBLIC_URL": url}
    with (stack.plan.var / "log" / f"{name}.log").open("ab") as log:
        door = subprocess.Popen(  # noqa: ASYNC220 (it starts at once)
            [sys.executable, "-m", "parvis.ingest_sms"], env=dict(stack.env) | own | environment, stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await asyncio.to_thread(is_ready, port):
                await asyncio.sleep(0.1)
        yield url
    finally:
        door.terminate()
        await asyncio.to_thread(door.wait, PATIENCE_S)
        ports.release()


class Citizens:
    """People who write by the simulator, and what became of it, told to the senders' log."""

    def __init__(self, outside: Simulators, log: ClientLog) -> None:
        self._http = httpx.AsyncClient(base_url=outside.twilio_url, trust_env=False, timeout=PATIENCE_S)
        self._log = log

    async def write(self, number: int, body: str, *, outcome: Outcome | None = None, **more: Any) -> dict[str, Any]:
        """One message. `outcome` is what its sender may rely on, where Twilio's own word is not it."""
        asked_at, sender = time.time(), CITIZEN.format(number % 1000)
        sms = {"from": sender, "to": TOWN_NUMBER, "body": body} | more
        told = (await self._http.post("/_sim/inbound", json=sms)).json()
        said: Outcome = outcome or ("ok" if told["outcome"] in {"accepted", "fallback"} else "unknown")
        self._log.write(Attempt(contact_of(told["sid"]), sender, said, asked_at, time.time()))
        return told

    async def close(self) -> None:
        await self._http.aclose()


def contact_of(sid: str) -> ContactId:
    return make_contact_id("sms", TOWN_NUMBER, sid)
