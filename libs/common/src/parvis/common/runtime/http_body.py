"""Limits the bytes of every request's body, before anything parses it."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class LimitBody:
    """ASGI middleware: who reads more of a body than the limit gets HTTPException 413, and nothing is read of one that says it is larger.

    The application answers it, so that the error is a page or JSON as its others are. A route that reads no body is not asked.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        size_bytes = int(declared) if declared.isdigit() and int(declared) > self._max_bytes else 0

        async def receive_bounded() -> Message:
            nonlocal size_bytes
            if size_bytes > self._max_bytes:
                raise HTTPException(413)
            message = await receive()
            size_bytes += len(message.get("body", b""))
            if size_bytes > self._max_bytes:
                raise HTTPException(413)
            return message

        await self._app(scope, receive_bounded, send)
