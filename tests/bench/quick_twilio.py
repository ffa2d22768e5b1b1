"""Serves a fast Messages API that accepts every message after Twilio's latency and records its time."""

import asyncio
import json
import re
import sys
import time
from collections.abc import Mapping
from urllib.parse import unquote_plus

import uvloop

ANSWERS_AFTER_S = 0.1  # the least latency of Twilio's API; 200 in flight give 2,000 a second
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_NUMBER = re.compile(r"no(\d{6})")


class Calls:
    """The arrival times of each numbered message."""

    def __init__(self) -> None:
        self.made = 0
        self.at: dict[int, list[float]] = {}

    def note(self, body: str) -> int:
        self.made += 1
        if match := _NUMBER.search(body):
            self.at.setdefault(int(match[1]), []).append(time.time())
        return self.made


class Api(asyncio.Protocol):
    """One persistent connection."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        length = int(match[1]) if (match := _LENGTH.search(head)) else 0
        if not separator or len(rest) < length:
            return
        self._buffer = rest[length:]
        if head.startswith(b"POST"):
            number = self._calls.note(unquote_plus(rest[:length].decode()))
            asyncio.get_running_loop().call_later(ANSWERS_AFTER_S, self._answer, 201, _created(number))
        elif b"DELETE /_calls" in head:
            self._calls.__init__()
            self._answer(200, {})
        else:
            self._answer(200, {"made": self._calls.made, "at": self._calls.at})

    def _answer(self, status: int, value: object) -> None:
        if not self._transport.is_closing():
            body = json.dumps(value).encode()
            head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def _created(number: int) -> Mapping[str, object]:
    """An answer as long as Twilio's own: parsing it is part of the cost of a call."""
    sid = f"SM{number:032x}"
    nothing = dict.fromkeys(("date_sent", "error_code", "error_message", "messaging_service_sid", "price"))
    return nothing | {
        "account_sid": "AC" + "0" * 32, "api_version": "2010-04-01", "body": "Bonjour, votre demande est prête. " * 4,
        "date_created": "Mon, 23 Nov 2026 16:00:00 +0000", "date_updated": "Mon, 23 Nov 2026 16:00:00 +0000",
        "direction": "outbound-api", "from": "+33536490100", "num_media": "0", "num_segments": "1", "price_unit": "USD",
        "sid": sid, "status": "queued", "to": "+33639980001", "uri": f"/2010-04-01/Accounts/AC/Messages/{sid}.json",
        "subresource_uris": {"media": f"/2010-04-01/Accounts/AC/Messages/{sid}/Media.json"},
    }  # fmt: skip


async def main(port: int) -> None:
    calls = Calls()
    server = await asyncio.get_running_loop().create_server(lambda: Api(calls), "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
