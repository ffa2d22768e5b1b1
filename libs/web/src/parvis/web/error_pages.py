"""Answers every error with a page in plain words, or with JSON under /api."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from parvis.common.contract.errors import Rejected, Unavailable
from parvis.common.runtime.logs import logger
from parvis.web.language_negotiation import negotiate_language
from parvis.web.pages import PageRenderer

log = logger()
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


def install_error_pages(app: FastAPI, pages: PageRenderer) -> None:
    """Registers handlers so that every error is a page in plain words, or JSON under /api."""

    def page_handler(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
        async def answer(request: Request, error: Exception) -> Response:
            code = error.status_code if isinstance(error, HTTPException) else status
            if code == 503:
                log.warning("page.not_served", path=request.url.path, reason=str(error))
            answered = error_page(pages, request, code, detail=str(getattr(error, "detail", error)))
            answered.headers.update((isinstance(error, HTTPException) and error.headers) or {})
            if code == 405:
                answered.headers["allow"] = ", ".join(_allowed_methods(request))
            return answered

        return answer

    async def answer_invalid_request(request: Request, error: Exception) -> Response:
        """404 for an invalid id in the path, 422 for anything else."""
        problems = error.errors() if isinstance(error, RequestValidationError) else []
        is_lost = any(problem["loc"][0] == "path" for problem in problems)
        detail = "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems)
        return error_page(pages, request, 404 if is_lost else 422, detail=detail)

    app.add_exception_handler(HTTPException, page_handler(500))
    app.add_exception_handler(RequestValidationError, answer_invalid_request)
    app.add_exception_handler(Rejected, page_handler(400))
    app.add_exception_handler(Unavailable, page_handler(503))
    app.add_exception_handler(Exception, page_handler(500))


def _allowed_methods(request: Request) -> list[str]:
    """The methods of all routes of this path, of included routers too; Starlette names those of the first route alone."""

    def is_answered(method: str) -> bool:
        asked = {**request.scope, "method": method}
        return any(route.matches(asked)[0] is Match.FULL for route in request.app.routes)

    return [method for method in _METHODS if is_answered(method)]


def error_page(pages: PageRenderer, request: Request, code: int, *, detail: str = "") -> Response:
    """An error as a page in the reader's language; as JSON under /api."""
    headers = {"retry-after": "30"} if code == 503 else {}
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": detail}, status_code=code, headers=headers)
    page_code = code if code in {400, 403, 404, 405, 413, 503} else 400 if code < 500 else 500
    language = negotiate_language(request, pages.town)
    html = pages.render("problem.html", language, code=page_code, language_switch_url=None)
    return HTMLResponse(html, status_code=code, headers=headers)
