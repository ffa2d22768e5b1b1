"""Adds security headers to every response and checks that a form was sent from one of our own pages."""

from urllib.parse import urlsplit

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# No script (except on pages that call `allow_scripts`), nothing from other sites, no framing. Referrer-Policy is not `no-referrer`:
# browsers would then send `Origin: null` with our own forms.
_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


class SecurityHeaders:
    """ASGI middleware that adds the headers to every response; one that a route has set stays."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in self._headers if h[0] not in present)]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def allow_scripts(headers: dict[str, str]) -> dict[str, str]:
    """The headers of a page that may run our own script files, which may connect to us only."""
    policy = _HEADERS["content-security-policy"]
    return headers | {"content-security-policy": f"{policy}; script-src 'self'; connect-src 'self'"}


def is_same_origin(request: Request, public_url: str) -> bool:
    """Whether a request comes from one of our own pages, or from no page at all, by what the browser says.

    Source: OWASP ASVS 5.0, 3.5.1 to 3.5.3. Without Sec-Fetch-Site (plain HTTP, old browsers) Origin decides.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    if origin is None:
        return True  # no browser leaves both out of a cross-site POST
    try:
        host = urlsplit(origin).netloc
    except ValueError:
        return False
    return host in {request.headers.get("host"), urlsplit(public_url).netloc}
