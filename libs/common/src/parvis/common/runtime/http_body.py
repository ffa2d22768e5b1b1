"""Limits every request's body, before anything parses it, and answers HEAD where GET is answered."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class LimitBody:
    """ASGI middleware: who reads more of a body than the limit gets HTTPException 413, and nothing is read of one that says it is larger.

    Who reads a body with a Content-Encoding gets 415 (RFC 9110 §15.5.16): nothing here unpacks one, and its bytes would be taken for text.
    The application answers it, so that the error is a page or JSON as its others are. A route that reads no body is not asked.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"0")
        is_encoded = headers.get(b"content-encoding", b"").strip().lower() not in (b"", b"identity")
        size_bytes = int(declared) if declared.isdigit() and int(declared) > self._max_bytes else 0

        async def receive_bounded() -> Message:
            nonlocal size_bytes
            if is_encoded:
                raise HTTPException(415, headers={"accept-encoding": "identity"})
            if size_bytes > self._max_bytes:
                raise HTTPException(413)
            message = await receive()
            size_bytes += len(message.get("body", b""))
            if size_bytes > self._max_bytes:
                raise HTTPException(413)
            return message

        await self._app(scope, receive_bounded, send)


class HeadAsGet:
    """ASGI middleware: the application gets HEAD as GET (RFC 9110 §9.3.2); uvicorn leaves the body out of the answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_head = scope["type"] == "http" and scope["method"] == "HEAD"
        await self._app({**scope, "method": "GET"} if is_head else scope, receive, send)
