"""Facts about the limits of every service's HTTP server, on a real socket under the loop that services run on."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route

from parvis.common.runtime.health import Health
from parvis.common.runtime.http_protocol import MAX_HEAD_BYTES, BoundedHttp, HttpLimits
from parvis.common.runtime.rate_limits import parse_networks
from parvis.common.runtime.service import Service, build_server

PATIENT = HttpLimits(head_s=600, progress_s=600, body_s=600, linger_s=600)
GET = b"GET / HTTP/1.1\r\nhost: town.example\r\n"
POST = b"POST /length HTTP/1.1\r\nhost: town.example\r\n"


async def _hello(request: Request) -> Response:
    return PlainTextResponse(f"{len(request.headers)} headers")


def _pages() -> FastAPI:
    app = FastAPI()
    app.add_api_route("/hello", _hello, methods=["GET"])
    return app


async def _length(request: Request) -> Response:
    body = await request.body()
    return PlainTextResponse(f"{len(body)} bytes, {len(request.headers)} headers")


@asynccontextmanager
async def serving(limits: HttpLimits = PATIENT) -> AsyncGenerator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    app = Starlette(
        routes=[
            Route("/", _hello),
            Route("/length", _length, methods=["POST"]),
            Route("/mute", _hello, methods=["POST"]),
            Mount("/pages", _pages()),
        ]
    )
    server = build_server(Service("test", "127.0.0.1", port, Health(), app=app), limits)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield port
    finally:
        server.should_exit = server.force_exit = True
        await serving


@asynccontextmanager
async def connected(port: int) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def exchange(port: int, *parts: bytes) -> bytes:
    """All that comes back until the server closes the connection."""
    async with asyncio.timeout(60), connected(port) as (reader, writer):
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0)
        received = bytearray()
        try:
            while piece := await reader.read(65536):
                received += piece
        except ConnectionError:
            pass
        return bytes(received)


async def a_get(port: int) -> bytes:
    return await exchange(port, GET + b"connection: close\r\n\r\n")


def head_of(size_bytes: int) -> bytes:
    rest = b"connection: close\r\n\r\n"
    return GET + b"x-a: " + b"a" * (size_bytes - len(GET) - len(rest) - 7) + b"\r\n" + rest


async def test_a_head_of_64_kib_passes_and_one_byte_more_is_431():
    async with serving() as port:
        assert b" 200 OK" in await exchange(port, head_of(MAX_HEAD_BYTES))
        assert b" 431 " in await exchange(port, head_of(MAX_HEAD_BYTES + 1))


async def test_a_head_that_comes_in_many_small_pieces_passes():
    async with serving() as port, connected(port) as (reader, writer):
        for letter in GET + b"connection: close\r\n\r\n":
            writer.write(bytes([letter]))
            await asyncio.sleep(0.001)

        assert b" 200 OK" in await reader.read()


@pytest.mark.parametrize(
    "endless",
    [
        lambda: GET + b"x-a: b\r\n" * 200_000,
        lambda: GET + b"x-a: " + b"a" * 1_000_000,
        lambda: b"GET /" + b"a" * 1_000_000,
        lambda: b"\r\n" * 500_000,
        lambda: POST + b"transfer-encoding: chunked\r\n\r\n0\r\n" + b"x-a: b\r\n" * 200_000,
        lambda: POST + b"transfer-encoding: chunked\r\n\r\n1;" + b"a" * 1_000_000,
    ],
    ids=["many lines", "one line", "target", "empty lines", "trailers", "chunk extension"],
)
async def test_whatever_grows_without_a_body_is_431(endless: Callable[[], bytes]):
    async with serving() as port:
        answer = await exchange(port, endless())

        assert answer.startswith(b"HTTP/1.1 431 ") or answer == b""  # a reset may overtake the answer
        assert b" 200 OK" in await a_get(port)


async def test_heads_in_one_packet_do_not_add_up():
    async with serving() as port:
        many = GET + b"\r\n"
        answers = await exchange(port, many * 3000 + GET + b"connection: close\r\n\r\n")

        assert answers.count(b" 200 OK") == 3001


async def test_head_is_answered_as_get_without_a_body():
    async with serving() as port:
        rest = b" /pages/hello HTTP/1.1\r\nhost: town.example\r\nconnection: close\r\n\r\n"
        got, head = [await exchange(port, method + rest) for method in (b"GET", b"HEAD")]

        assert got.endswith(b"\r\n\r\n2 headers")
        assert [line for line in head.splitlines() if not line.startswith(b"date")] == [
            line for line in got.splitlines()[:-1] if not line.startswith(b"date")
        ]


@pytest.mark.parametrize(
    ("encoding", "status"), [(b"gzip", b" 415 "), (b"identity", b" 200 "), (b"GZIP, br", b" 415 ")]
)
async def test_a_body_with_an_encoding_is_415(encoding: bytes, status: bytes):
    async with serving() as port:
        rest = b"content-length: 2\r\nconnection: close\r\n\r\nab"
        answer = await exchange(port, POST + b"content-encoding: " + encoding + b"\r\n" + rest)

        assert status in answer
        assert (b"accept-encoding: identity" in answer) == (status == b" 415 ")


async def test_a_trailer_is_no_header_of_the_request():
    async with serving() as port:
        plain = POST + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n"

        assert b"2 bytes, 3 headers" in await exchange(port, plain + b"\r\n")
        assert b"2 bytes, 3 headers" in await exchange(port, plain + b"authorization: x\r\n\r\n")


async def test_a_head_that_is_not_whole_in_time_is_408_also_after_keep_alive():
    async with serving(replace(PATIENT, head_s=0.05)) as port:
        assert (await exchange(port, GET)).startswith(b"HTTP/1.1 408 ")
        assert await exchange(port) == b""
        first, _, second = (await exchange(port, GET + b"\r\n", GET)).partition(b"2 headers")
        assert b"1 headers" in first
        assert b" 408 " in first + second


async def test_a_body_that_stands_still_is_408_and_one_that_comes_on_is_read():
    async with serving(replace(PATIENT, progress_s=0.05, min_bytes_per_s=1)) as port:
        assert (await exchange(port, POST + b"content-length: 100\r\n\r\nabc")).startswith(b"HTTP/1.1 408 ")
    async with serving(replace(PATIENT, body_s=0, progress_s=0.01, min_bytes_per_s=0)) as port:
        assert (await exchange(port, POST + b"content-length: 100\r\n\r\nabc")).startswith(b"HTTP/1.1 408 ")
    async with (
        serving(replace(PATIENT, progress_s=0.05, min_bytes_per_s=0)) as port,
        connected(port) as (reader, writer),
    ):
        writer.write(POST + b"connection: close\r\ncontent-length: 8\r\n\r\n")
        for _ in range(8):
            writer.write(b"a")
            await asyncio.sleep(0.02)
        assert b"8 bytes" in await reader.read()


async def test_a_body_over_the_limit_is_413_however_it_is_declared():
    async with serving() as port:
        declared = await exchange(port, POST + b"connection: close\r\ncontent-length: 99999999\r\n\r\nab")
        chunked = (
            POST + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n" + b"10000\r\n" + b"a" * 65536 + b"\r\n"
        )

        assert b" 413 " in declared
        assert b" 413 " in await exchange(port, chunked + (b"10000\r\n" + b"a" * 65536 + b"\r\n") * 4)


async def test_a_body_that_goes_on_after_the_answer_ends_with_the_connection():
    async with serving(replace(PATIENT, linger_s=0.05)) as port:
        answer = await exchange(port, b"POST /mute HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nabc")

        assert b" 200 OK" in answer


async def test_of_a_body_that_goes_on_after_the_answer_little_is_read(monkeypatch: pytest.MonkeyPatch):
    read_bytes, receive = 0, BoundedHttp.data_received

    def count(connection: BoundedHttp, data: bytes) -> None:
        nonlocal read_bytes
        read_bytes += len(data)
        receive(connection, data)

    monkeypatch.setattr(BoundedHttp, "data_received", count)
    async with serving(replace(PATIENT, linger_s=0.3, linger_bytes_per_s=1)) as port:
        head = b"POST /mute HTTP/1.1\r\nhost: a\r\ncontent-length: 99000000\r\n\r\n"
        answer = await exchange(port, head, *[b"a" * 1_000_000] * 16)

    assert answer.startswith(b"HTTP/1.1 200 ") or answer == b""  # a reset may overtake the answer
    assert read_bytes <= 4 * 256 * 1024


async def test_of_requests_in_one_packet_few_wait_for_each_other(monkeypatch: pytest.MonkeyPatch):
    waiting, complete = list[int](), BoundedHttp.on_headers_complete

    def count(connection: BoundedHttp) -> None:
        complete(connection)
        waiting.append(len(connection.pipeline))

    monkeypatch.setattr(BoundedHttp, "on_headers_complete", count)
    async with serving() as port:
        answers = await exchange(port, b"GET / HTTP/1.1\r\n\r\n" * 1000 + GET + b"connection: close\r\n\r\n")

    assert (answers.count(b" 200 OK"), len(waiting)) == (1001, 1001)
    assert max(waiting) <= 2048 // 18 + 1


async def test_a_body_that_ends_after_its_answer_is_followed_by_the_time_of_a_head():
    async with (
        asyncio.timeout(60),
        serving(replace(PATIENT, head_s=0.05)) as port,
        connected(port) as (reader, writer),
    ):
        writer.write(b"POST /mute HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")
        assert b" 200 OK" in await reader.readuntil(b"headers")
        writer.write(b"a" * 7 + b"GET")

        assert await reader.read() == b""  # the server has closed it


async def test_a_client_has_a_limit_of_connections_that_a_proxy_has_not():
    async with serving(replace(PATIENT, client_connections=2)) as port, connected(port), connected(port):
        assert (await exchange(port)).startswith(b"HTTP/1.1 503 ")
    proxies: Any = parse_networks("127.0.0.0/8")
    async with (
        serving(replace(PATIENT, client_connections=2, proxies=proxies)) as port,
        connected(port),
        connected(port),
    ):
        assert b" 200 OK" in await a_get(port)


async def test_when_full_the_connection_that_waits_longest_for_its_head_makes_room():
    async with serving(replace(PATIENT, connections=2)) as port, connected(port) as (oldest, _), connected(port):
        assert b" 200 OK" in await a_get(port)
        async with asyncio.timeout(60):
            with_reset = await asyncio.gather(oldest.read(), return_exceptions=True)
        assert isinstance(with_reset[0], ConnectionError) or with_reset == [b""]


async def test_when_all_are_at_work_the_next_is_503():
    async with (
        asyncio.timeout(60),
        serving(replace(PATIENT, connections=1)) as port,
        connected(port) as (reader, writer),
    ):
        writer.write(POST + b"expect: 100-continue\r\ncontent-length: 10\r\n\r\n")
        assert b" 100 " in await reader.readline()
        assert (await exchange(port)).startswith(b"HTTP/1.1 503 ")
