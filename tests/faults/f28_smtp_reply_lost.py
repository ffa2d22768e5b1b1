"""F-28: the connection is cut after a mail's final dot and before 250 (RFC 1047), and the sender retries."""

import asyncio
import contextlib
import socket
from collections import Counter

from parvis.ingest_email.parse.message_identity import identify_message
from tests.faults.oracle import Verdict, read_state
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.faults.smtp_client import RECIPIENT, SENDER, build_mail, send_mail
from tests.patience import PATIENCE_S

_CUTS = (0.0, 0.002, 0.01, 0.05)  # seconds from the dot to the cut: before, during and after processing


async def run(workspace: Workspace, full: bool) -> Verdict:
    mails = 200 if full else 16
    verdict = Verdict()
    with start_town(workspace, ["ingest-email"]) as (stack, _log):
        port = stack.port("ingest-email.smtp")
        for number in range(mails):
            for _ in range(2):  # cut twice before the mail gets through
                await asyncio.to_thread(_cut, port, build_mail(number), _CUTS[number % len(_CUTS)])
        codes = await asyncio.gather(
            *(asyncio.to_thread(send_mail, port, build_mail(number)) for number in range(mails))
        )
        verdict.expect({code for code, _ in codes} == {250}, f"the retry got {Counter(c for c, _ in codes)}")
        arrived = Counter(received.event_id for received in (await read_state(stack)).received)
    written = {str(identify_message(build_mail(number)).contact_id(RECIPIENT)) for number in range(mails)}
    verdict.expect(arrived.keys() == written, f"{mails} mails are {len(arrived)} contacts")
    verdict.figures |= {"mails": mails, "contacts": len(arrived)}
    verdict.figures["records twice, same id"] = sum(arrived.values()) - len(arrived)
    return verdict


def _cut(port: int, content: bytes, after_s: float) -> None:
    """Send the whole mail with its final dot, then reset the connection (RST)."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        replies = connection.makefile("rb")
        replies.readline()
        for command in ("HELO mx", f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{RECIPIENT}>", "DATA"):
            connection.sendall(command.encode() + b"\r\n")
            replies.readline()
        connection.sendall(content + b".\r\n")
        if after_s:
            connection.settimeout(after_s)
            with contextlib.suppress(TimeoutError):
                connection.recv(1, socket.MSG_PEEK)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        replies.close()


SCENARIO = OwnTownScenario(
    "F-28", "the connection is cut between the final dot and 250; the mail is sent again", "one contact; I4", run
)
