"""F-29: LMTP, three recipients, the second of them unknown; by hand, and by the real Postfix where there is one."""

import asyncio
import socket
from pathlib import Path

from parvis.common.town.loading import load_town_config
from parvis.local.stack import Stack
from tests.faults.mail import RECIPIENT, SENDER, a_mail
from tests.faults.oracle import Verdict, look
from tests.faults.scenario import Place, Scenario, town
from tests.patience import PATIENCE_S


async def run(place: Place, full: bool) -> Verdict:
    mails = 500 if full else 20
    verdict = Verdict()
    with town(place, ["ingest-email"]) as (stack, _log):
        known = _known(stack)
        heard = await asyncio.to_thread(_speak, stack.port("ingest-email.lmtp"), known, mails)
        expected = ["250", "250", "550", "250", "354", "250", "250"]
        wrong = [codes for codes in heard if codes != expected]
        verdict.expect(not wrong, f"{len(wrong)} of {mails} mails were answered otherwise, such as {wrong[:1]}")
        arrived = {received.event_id for received in (await look(stack)).received}
        verdict.expect(len(arrived) == 2 * mails, f"{mails} mails to two mailboxes are {len(arrived)} contacts")
    verdict.figures |= {"mails": mails, "contacts": len(arrived)}
    return verdict


def _known(stack: Stack) -> tuple[str, str]:
    departments = load_town_config(Path(stack.env["PARVIS_CONFIG_DIR"])).departments.values()
    return RECIPIENT, next(department.email for department in departments if department.email != RECIPIENT)


def _speak(port: int, known: tuple[str, str], mails: int) -> list[list[str]]:
    """One session, all commands of a mail sent at once: a reply too many or too few puts every later one out of step."""
    found: list[list[str]] = []
    first, last = known
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as line:
        heard = line.makefile("rb")
        heard.readline()
        line.sendall(b"LHLO mx\r\n")
        while heard.readline()[3:4] == b"-":
            pass
        for number in range(mails):
            commands = [f"MAIL FROM:<{SENDER}>", *(f"RCPT TO:<{who}>" for who in (first, f"no-{last}", last)), "DATA"]
            line.sendall("".join(f"{command}\r\n" for command in commands).encode())
            codes = [heard.readline()[:3].decode() for _ in commands]
            line.sendall(a_mail(number) + b".\r\n")
            found.append(codes + [heard.readline()[:3].decode() for _ in range(2)])
        heard.close()
    return found


SCENARIO = Scenario("F-29", "LMTP with three recipients, the second one unknown", "three answers, in step; I4", run)
