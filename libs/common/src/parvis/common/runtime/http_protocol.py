"""Bounds what one HTTP client can hold: bytes and seconds of a head, progress of a body, connections of an address, the loop's time."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from parvis.common.runtime import metrics
from parvis.common.runtime.rate_limits import Network, source_network

MAX_HEAD_BYTES = 64 * 1024
_HEAD_PIECE_BYTES = 2 * 1024  # a hundred requests without a body, which wait for each other
_BODY_PIECE_BYTES = 16 * 1024
_READ_BYTES = 256 * 1024  # what uvloop reads at once


@dataclass(frozen=True)
class HttpLimits:
    """The limits of each connection, and of all connections together.

    Shape:  `proxies`, the networks that pass on the connections of many clients: without a limit of their own.
            A body may come slowly, but not slower than `min_bytes_per_s` over `progress_s` seconds.
    """

    connections: int = 1000
    client_connections: int = 100
    proxies: Sequence[Network] = ()
    head_s: float = 10.0
    progress_s: float = 30.0  # a telephone in a tunnel
    min_bytes_per_s: int = 500
    body_s: float = 300.0
    linger_s: float = 10.0  # after an answer that did not wait for the body's end
    linger_bytes_per_s: int = (
        32 * 1024 * 1024
    )  # of all such bodies together: nobody needs them, and others need the loop


@dataclass
class ClientConnections:
    """Counts the connections of each client of one server."""

    limits: HttpLimits
    by_source: Counter[str] = field(default_factory=Counter[str])
    lingering: set["BoundedHttp"] = field(default_factory=set["BoundedHttp"])

    def source_of(self, address: str) -> str | None:
        """The source that a connection counts for; None for a proxy's."""
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            return None  # the socket of a worker process
        ip = getattr(ip, "ipv4_mapped", None) or ip
        is_proxy = any(ip in network for network in self.limits.proxies if network.version == ip.version)
        return None if is_proxy else source_network(address)


def bounded_protocol(limits: HttpLimits) -> type[HttpToolsProtocol]:
    """Make the protocol class of one server, whose connections share the limits."""
    shared = ClientConnections(limits)
    return type("BoundedHttpProtocol", (BoundedHttp,), {"limits": limits, "open": shared})


class _FlowOfPieces(FlowControl):
    """Has the protocol parse what it holds before the transport reads more."""

    def __init__(self, transport: Any, has_more: Callable[[], object], go_on: Callable[[], None]) -> None:
        super().__init__(transport)
        self._has_more, self._go_on = has_more, go_on

    def resume_reading(self) -> None:
        if self.read_paused or self._has_more():
            self.read_paused = False
            asyncio.get_running_loop().call_soon(self._go_on)


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol with limits: 431 for a head over 64 KiB, 408 for one that is slow or a body that stands still, 503 when full.

    uvicorn 0.54 with httptools has none of these: httptools glues the parts of one header quadratically, the keep-alive time ends with the
    first byte, and `limit_concurrency` is asked after the head alone. What comes without making a body longer (heads, chunk extensions,
    trailers) is counted before it is parsed.

    One packet may hold thousands of requests, and libuv reads up to 32 times from a connection before it turns to the next: here a
    request is parsed when those before it have begun, and what nobody waits for is read at a bounded pace.
    """

    limits: HttpLimits
    open: ClientConnections

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._source: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unparsed = b""
        self._bytes_without_body = 0
        self._body_bytes = self._body_bytes_before = 0
        self._body_began_at = 0.0
        self._is_in_body = False
        self._is_refused = False
        self.began_at = time.monotonic()  # since then it waits for a head

    @property
    def waits_for_head(self) -> bool:
        """Whether nobody would lose an answer if this connection were closed."""
        return not self._is_in_body and (not self.cycle or self.cycle.response_complete)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.flow = _FlowOfPieces(transport, lambda: self._unparsed, self._parse)
        self._source = self.open.source_of(self.client[0]) if self.client else None
        if self._source:
            self.open.by_source[self._source] += 1
        if self._source and self.open.by_source[self._source] > self.limits.client_connections:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "client-connections")
        elif len(self.connections) > self.limits.connections and not self._close_one_that_waits():
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "connections")
        else:
            self._arm(self.limits.head_s, self._head_timed_out)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._unparsed = b""
        self.open.lingering.discard(self)
        if self._source:
            self.open.by_source[self._source] -= 1
            if self.open.by_source[self._source] <= 0:
                del self.open.by_source[self._source]
            self._source = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unparsed += data
        self._parse()

    def _parse(self) -> None:
        """Parse what has come, up to what must wait; read more when nothing is left."""
        view, self._unparsed = memoryview(self._unparsed), b""
        if view and self.waits_for_head and self._timer is None:  # the first byte after a keep-alive
            self._arm(self.limits.head_s, self._head_timed_out)
        while view and not (self.flow.read_paused or self.pipeline or self.transport.is_closing()):
            piece_bytes = _BODY_PIECE_BYTES if self._is_in_body else _HEAD_PIECE_BYTES
            size = min(len(view), piece_bytes, MAX_HEAD_BYTES - self._bytes_without_body)
            if size <= 0:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head-bytes")
                return
            self._bytes_without_body += size
            super().data_received(bytes(view[:size]))
            view = view[size:]
        if self.transport.is_closing():
            return
        self._unparsed = bytes(view)
        if self._unparsed or self.flow.read_paused:
            self.transport.pause_reading()
        elif self in self.open.lingering:
            self.transport.pause_reading()
            self.loop.call_later(self._linger_pause_s(), self._resume)
        else:
            self.transport.resume_reading()

    def _linger_pause_s(self) -> float:
        """Until this connection's turn to send another block of what nobody waits for."""
        return len(self.open.lingering) * _READ_BYTES / self.limits.linger_bytes_per_s

    def _resume(self) -> None:
        if not self.transport.is_closing() and not self.flow.read_paused:
            self.transport.resume_reading()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_in_body:  # else a trailer: no header of the request, which the application has already
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._bytes_without_body = self._body_bytes = self._body_bytes_before = 0
        self._is_in_body, self._body_began_at = True, time.monotonic()
        super().on_headers_complete()
        self._arm(self.limits.progress_s, self._check_progress)

    def on_body(self, body: bytes) -> None:
        self._bytes_without_body = 0
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._bytes_without_body = 0
        self._is_in_body = False
        self.open.lingering.discard(self)
        self._disarm()
        super().on_message_complete()
        if self.waits_for_head:  # the body ended after its answer: nothing else would end the connection
            self.began_at = time.monotonic()
            self._arm(self.limits.head_s, self._head_timed_out)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.began_at = time.monotonic()
        if self._is_in_body and not self.transport.is_closing():
            # The rest of the body is read for a moment, so that the client sees the answer instead of a reset.
            self._unset_keepalive_if_required()
            self.open.lingering.add(self)
            self._arm(self.limits.linger_s, self.transport.close)

    def _arm(self, seconds: float, act: Any) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, act)

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _head_timed_out(self) -> None:
        self._timer = None
        if self._bytes_without_body:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "head-seconds")
        else:
            self.transport.close()

    def _check_progress(self) -> None:
        """Ask whether the body came on since the last time; one that we do not read is not late."""
        came_bytes = self._body_bytes - self._body_bytes_before
        self._body_bytes_before = self._body_bytes
        is_slow = came_bytes < self.limits.min_bytes_per_s * self.limits.progress_s and not self.flow.read_paused
        if is_slow or time.monotonic() - self._body_began_at > self.limits.body_s:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "body-seconds")
        else:
            self._arm(self.limits.progress_s, self._check_progress)

    def _close_one_that_waits(self) -> bool:
        """Make room: end a connection whose head is not whole, or that is kept for later. False when all are at work."""
        waiting = (other for other in _bounded(self.connections) if other is not self and other.waits_for_head)
        oldest = min(waiting, key=lambda other: other.began_at, default=None)
        if oldest is None:
            return False
        oldest.transport.abort()
        self.connections.discard(oldest)
        return True

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        """Answer and close; the client that has its answer half already gets no second one."""
        self._disarm()
        if self._is_refused or self.transport.is_closing():
            return
        self._is_refused = True
        metrics.http_refused.labels(str(status.value), why).inc()
        if not self.cycle or self.cycle.response_complete or not self.cycle.response_started:
            retry = b"retry-after: 10\r\n" if status == HTTPStatus.SERVICE_UNAVAILABLE else b""
            self.transport.write(
                f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-length: 0\r\nconnection: close\r\n".encode()
                + retry
                + b"\r\n"
            )
        self.transport.close()


def _bounded(connections: Iterable[object]) -> Iterable[BoundedHttp]:
    return (connection for connection in connections if isinstance(connection, BoundedHttp))
