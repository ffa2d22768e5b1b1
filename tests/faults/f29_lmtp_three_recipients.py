"""F-29: LMTP delivers mails to three recipients, the second of them unknown."""

import asyncio
import socket
from pathlib import Path

from parvis.common.town.loading import load_town_config
from parvis.local.stack import Stack
from tests.faults.oracle import Verdict, read_state
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.faults.smtp_client import RECIPIENT, SENDER, build_mail
from tests.patience import PATIENCE_S


async def run(workspace: Workspace, full: bool) -> Verdict:
    mails = 500 if full else 20
    verdict = Verdict()
    with start_town(workspace, ["ingest-email"]) as (stack, _log):
        mailboxes = _two_mailboxes(stack)
        replies = await asyncio.to_thread(_send_over_lmtp, stack.port("ingest-email.lmtp"), mailboxes, mails)
        expected = ["250", "250", "550", "250", "354", "250", "250"]
        wrong = [codes for codes in replies if codes != expected]
        verdict.expect(not wrong, f"{len(wrong)} of {mails} mails got other replies, such as {wrong[:1]}")
        arrived = {received.event_id for received in (await read_state(stack)).received}
        verdict.expect(len(arrived) == 2 * mails, f"{mails} mails to two mailboxes are {len(arrived)} contacts")
    verdict.figures |= {"mails": mails, "contacts": len(arrived)}
    return verdict


def _two_mailboxes(stack: Stack) -> tuple[str, str]:
    departments = load_town_config(Path(stack.env["PARVIS_CONFIG_DIR"])).departments.values()
    return RECIPIENT, next(department.email for department in departments if department.email != RECIPIENT)


def _send_over_lmtp(port: int, mailboxes: tuple[str, str], mails: int) -> list[list[str]]:
    """Send all mails in one session with pipelined commands: one reply too many or too few would shift all later ones.

    Gives:  the reply codes of each mail.
    """
    codes_by_mail: list[list[str]] = []
    first, last = mailboxes
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        replies = connection.makefile("rb")
        replies.readline()
        connection.sendall(b"LHLO mx\r\n")
        while replies.readline()[3:4] == b"-":
            pass
        for number in range(mails):
            commands = [
                f"MAIL FROM:<{SENDER}>",
                *(f"RCPT TO:<{recipient}>" for recipient in (first, f"no-{last}", last)),
                "DATA",
            ]
            connection.sendall("".join(f"{command}\r\n" for command in commands).encode())
            codes = [replies.readline()[:3].decode() for _ in commands]
            connection.sendall(build_mail(number) + b".\r\n")
            codes_by_mail.append(codes + [replies.readline()[:3].decode() for _ in range(2)])
        replies.close()
    return codes_by_mail


SCENARIO = OwnTownScenario(
    "F-29", "LMTP with three recipients, the second one unknown", "three answers, in step; I4", run
)
