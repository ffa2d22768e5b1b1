"""Builds the JSON API: bearer token, OpenAPI description, the same rules as the pages."""

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.types import ASGIApp, Receive, Scope, Send

from parvis.common.contract.errors import Unavailable
from parvis.common.runtime.http_body import LimitBody
from parvis.common.runtime.logs import logger
from parvis.desk.api import get_cases, get_export, get_town, post_actions, post_case_work, reply_files
from parvis.desk.api.dependencies import ApiDependencies
from parvis.desk.api.json_bodies import REFUSALS
from parvis.desk.store.row_decoding import DamagedCase
from parvis.desk.verify.agent_sessions import bearer_token
from parvis.web.error_pages import install_error_pages
from parvis.web.pages import PageRenderer
from parvis.web.strict_json import StrictJsonRoute

log = logger()
_LARGEST_BODY_BYTES = 256 * 1024


class _LimitBodyByPath:
    """ASGI middleware: limits a body, to that of all files of an answer where they are uploaded."""

    def __init__(self, app: ASGIApp) -> None:
        self._usual = LimitBody(app, _LARGEST_BODY_BYTES)
        self._upload = LimitBody(app, reply_files.LARGEST_UPLOAD_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_upload = scope["type"] == "http" and reply_files.UPLOAD_PATH.search(scope["path"])
        await (self._upload if is_upload else self._usual)(scope, receive, send)


def application(access: ApiDependencies, pages: PageRenderer) -> FastAPI:
    """Builds the API as an application of its own, with its OpenAPI description at /api/v1/openapi.json.

    Gives: 200 with the case after the change, once it is committed; 401 without the token; 404 when that department does not
           have the case; 409 with the key of what is refused, `damaged_case` for one that cannot be read; 400 for a name twice in the body, 422 for an
           invalid one; 503.
    """

    app = FastAPI(
        title="Parvis desk", version="1", docs_url=None, redoc_url=None, redirect_slashes=False, dependencies=[Depends(HTTPBearer(auto_error=False))], responses=REFUSALS,
        description="What agents do on the pages of the desk, for programs. Each has an account with rights of its own.",
    )  # fmt: skip

    async def require_token(request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Look at the token before the body, which FastAPI reads before any dependency."""
        if request.method == "GET":
            return await call_next(request)
        try:
            async with access.cases.database.transaction() as connection:
                program = await access.find_program(connection, bearer_token(request))
        except Unavailable:
            return JSONResponse({"detail": "try again"}, 503, headers={"retry-after": "30"})
        if program is None:
            return JSONResponse({"detail": "bearer token required"}, 401, headers={"www-authenticate": "Bearer"})
        return await call_next(request)

    app.router.route_class = StrictJsonRoute
    app.add_middleware(_LimitBodyByPath)
    app.add_middleware(BaseHTTPMiddleware, dispatch=require_token)

    async def answer_damaged_case(_: Request, error: Exception) -> Response:
        if isinstance(error, DamagedCase):
            log.error("case.unreadable", conversation_id=error.conversation_id, reason=str(error))
        return JSONResponse({"detail": "damaged_case"}, 409)

    install_error_pages(app, pages)
    app.add_exception_handler(DamagedCase, answer_damaged_case)
    get_cases.routes(app, access)
    get_export.routes(app, access)
    get_town.routes(app, access)
    post_actions.routes(app, access)
    post_case_work.routes(app, access)
    reply_files.routes(app, access)
    return app
