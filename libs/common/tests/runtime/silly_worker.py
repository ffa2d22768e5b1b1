"""Acts as a worker process that answers as the file named by PARVIS_SILLY_ANSWER says, whatever it is asked."""

import asyncio
import os
import signal
import sys
from pathlib import Path


async def main() -> None:
    socket = os.environ["PARVIS_SILLY_HOST"].removeprefix("unix:")  # noqa: TID251 (no service)
    script = Path(os.environ["PARVIS_SILLY_ANSWER"])  # noqa: TID251
    if code := os.environ.get("PARVIS_SILLY_EXIT"):  # noqa: TID251
        sys.exit(int(code))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        content = script.read_bytes()
        if b"/metrics" in request and content.startswith(b"HTTP/1.0 503"):
            content = b"HTTP/1.0 200 OK\r\n\r\n"
        if content == b"hang":
            await asyncio.sleep(3600)
        writer.write(content)
        writer.close()

    await asyncio.start_unix_server(answer, socket)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await stopping.wait()


asyncio.run(main())
