"""Takes incoming calls from the telephone system, so that the caller's cases open on the agent's screen."""

import uuid
from urllib.parse import urlencode

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, SecretStr
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint

from parvis.common.contract.errors import Rejected
from parvis.common.contract.normalize_contact_points import phone_contact_point
from parvis.common.runtime.clock import now
from parvis.common.runtime.http_body import LimitBody
from parvis.common.storage.postgres import Database
from parvis.common.town.models import TownConfig
from parvis.desk.store.incoming_calls import IncomingCall, record_call
from parvis.desk.verify.agent_sessions import bearer_token, is_same_token
from parvis.web.error_pages import install_error_pages
from parvis.web.pages import PageRenderer
from parvis.web.strict_json import StrictJsonRoute

_LARGEST_BODY_BYTES = 4096


class CallReport(BaseModel):
    """A call that rings."""

    number: str = Field(max_length=60, description="the caller's number, in E.164 or as people dial it")
    department: str = Field(max_length=100, description="slug of the department whose telephone rings")
    call_id: str = Field(
        default="", max_length=200, description="the telephone system's id of the call; sent twice, it is one call"
    )


class CallOpened(BaseModel):
    url: str = Field(description="page of the desk with the caller's cases, for telephones that open one")


def telephone_hook(
    database: Database, town_config: TownConfig, pages: PageRenderer, *, token: SecretStr | None, desk_url: str
) -> FastAPI:
    """Builds `POST /telephone/calls`.

    Gives: 201 with the page to open; 401 without the token; 422 for a withheld or impossible number or an unknown department; 503.
    Retry: the same call_id is one call.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)

    async def require_token(request: Request, call_next: RequestResponseEndpoint) -> Response:
        if not is_same_token(bearer_token(request), token):
            return JSONResponse({"detail": "bearer token required"}, 401, headers={"www-authenticate": "Bearer"})
        return await call_next(request)

    app.router.route_class = StrictJsonRoute
    app.add_middleware(LimitBody, max_bytes=_LARGEST_BODY_BYTES)
    app.add_middleware(BaseHTTPMiddleware, dispatch=require_token)
    install_error_pages(app, pages)

    @app.post("/calls", status_code=201)
    async def report_call(report: CallReport) -> CallOpened:
        department = town_config.department(report.department)
        if department is None or department.successor:
            raise HTTPException(422, "no_department")
        try:
            number = phone_contact_point(report.number).value
        except Rejected as error:
            raise HTTPException(422, "wrong_phone") from error
        key = f"parvis-desk:call:{report.department}:{report.call_id}"
        call_id = str(uuid.uuid5(uuid.NAMESPACE_URL, key) if report.call_id else uuid.uuid4())
        await record_call(database, IncomingCall(call_id, report.department, number, now()))
        return CallOpened(url=f"{desk_url}/counter?{urlencode({'tel': number})}")

    _ = report_call
    return app
