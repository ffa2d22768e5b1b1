"""Requests in, checked and bounded; responses out with the headers that keep a page ours."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parvis.common.contract.errors import Rejected, Unavailable
from parvis.common.runtime.logs import logger
from parvis.common.town.models import Town
from parvis.web.forms import SubmittedForm, Upload, clean_text, read_form
from parvis.web.pages import PageRenderer

__all__ = [
    "SubmittedForm",
    "Upload",
    "allow_scripts",
    "clean_text",
    "install_pages",
    "is_same_origin",
    "language_switch_url",
    "negotiate_language",
    "read_form",
    "remember_language",
]

log = logger()
LANGUAGE_COOKIE = "parvis-language"

# No script (but on the pages that say so), nothing from elsewhere, in nobody's frame. Referrer-Policy is not `no-referrer`: browsers would then
# send `Origin: null` with our own forms.
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


def install_pages(app: FastAPI, pages: PageRenderer) -> None:
    """Give a service's pages their headers, their static files and a page in plain words for every error."""
    app.add_middleware(SecurityHeaders)
    install_error_pages(app, pages)

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        file = pages.statics.files.get(name)
        if file is None:
            raise HTTPException(404)
        keep = {"cache-control": "public, max-age=31536000, immutable"}
        return Response(file.content, media_type=file.media_type, headers=keep)

    _ = static


def install_error_pages(app: FastAPI, pages: PageRenderer) -> None:
    """Answer every error with a page in plain words, or with JSON under /api."""

    def failed(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
        async def answer(request: Request, error: Exception) -> Response:
            code = error.status_code if isinstance(error, HTTPException) else status
            if code == 503:
                log.warning("page.unavailable", path=request.url.path, reason=str(error))
            return error_page(pages, request, code, detail=str(getattr(error, "detail", error)))

        return answer

    async def misread(request: Request, error: Exception) -> Response:
        """An id in the path that is none names nothing; anything else is a wrong request."""
        problems = error.errors() if isinstance(error, RequestValidationError) else []
        is_lost = any(str(one["loc"][0]) == "path" for one in problems)
        detail = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems)
        return error_page(pages, request, 404 if is_lost else 422, detail=detail)

    app.add_exception_handler(HTTPException, failed(500))
    app.add_exception_handler(RequestValidationError, misread)
    app.add_exception_handler(Rejected, failed(400))
    app.add_exception_handler(Unavailable, failed(503))
    app.add_exception_handler(Exception, failed(500))


def error_page(pages: PageRenderer, request: Request, code: int, *, detail: str = "") -> Response:
    """What went wrong, as a page; as JSON under /api."""
    headers = {"retry-after": "30"} if code == 503 else {}
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": detail}, status_code=code, headers=headers)
    known = code if code in {400, 403, 404, 405, 413, 503} else 400 if code < 500 else 500
    language = negotiate_language(request, pages.town)
    html = pages.render("problem.html", language, code=known, switch=None)
    return HTMLResponse(html, status_code=code, headers=headers)


class SecurityHeaders:
    """Adds the headers that every response needs; one that a route has set itself stays."""

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
    """The headers of a page that may run our own scripts, from files, and let them speak with us only."""
    policy = _HEADERS["content-security-policy"]
    return headers | {"content-security-policy": f"{policy}; script-src 'self'; connect-src 'self'"}


def negotiate_language(request: Request, town: Town) -> str:
    """The page's language: asked for in the address, kept from before, the browser's, or the town's first."""
    asked = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    if asked in town.languages:
        return asked
    for part in request.headers.get("accept-language", "")[:200].split(","):
        language = part.split(";")[0].strip().lower()[:2]
        if language in town.languages:
            return language
    return town.languages[0]


def language_switch_url(request: Request, pages: PageRenderer) -> str | None:
    """The address of the same page in the other language; none where it would lose what was typed."""
    if request.method != "GET" or len(pages.town.languages) < 2:
        return None
    other = pages.translate("layout.other_language_code", negotiate_language(request, pages.town))
    return f"?{request.url.include_query_params(lang=other).query}" if other in pages.town.languages else None


def remember_language(request: Request, response: Response, town: Town) -> None:
    """Remember a language that was asked for; says nothing about the person, so it needs no consent."""
    asked = request.query_params.get("lang")
    if asked in town.languages:
        response.set_cookie(LANGUAGE_COOKIE, asked, max_age=31_536_000, httponly=True, samesite="lax", path="/")


def is_same_origin(request: Request, public_url: str) -> bool:
    """Whether a browser says that the request comes from one of our own pages, or that nobody's page sent it.

    Source: OWASP ASVS 5.0, 3.5.1 to 3.5.3. Without Sec-Fetch-Site (plain HTTP, old browsers) Origin decides.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    if origin is None:
        return True  # no browser leaves both out of a cross-site POST
    try:
        said = urlsplit(origin).netloc
    except ValueError:
        return False
    return said in {request.headers.get("host"), urlsplit(public_url).netloc}
