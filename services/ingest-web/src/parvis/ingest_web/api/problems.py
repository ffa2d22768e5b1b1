"""Holds the API's dependencies, and answers errors as RFC 9457 problems in the caller's language."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as AnyHTTPException

from parvis.common.contract.errors import Rejected, Unavailable
from parvis.common.runtime.logs import logger
from parvis.common.runtime.rate_limits import RateLimiter
from parvis.common.town.models import TownConfig
from parvis.ingest_web.store.submission_store import SubmissionStore
from parvis.web.language_negotiation import negotiate_language
from parvis.web.pages import PageRenderer

log = logger()
_MAX_BODIES_IN_MEMORY = 4
_KINDS = {
    404: "nothing",
    405: "method",
    413: "too-large",
    415: "encoding",
}  # of errors that are raised before our routes


class ApiProblem(Exception):
    """An RFC 9457 problem. `kind` is the last part of its type, and the key of its title."""

    def __init__(self, status: int, kind: str, *, errors: list[dict[str, str]] | None = None, wait_s: int = 0) -> None:
        super().__init__(kind)
        self.status, self.kind, self.errors, self.wait_s = status, kind, errors or [], wait_s


@dataclass(frozen=True)
class ContactApiDependencies:
    """The dependencies of the API's routes. `keys` maps an integrator's name to the SHA-256 of its key."""

    town_config: TownConfig
    pages: PageRenderer
    store: SubmissionStore
    keys: Mapping[str, str]
    sources: RateLimiter
    public_url: str
    largest_request_bytes: int
    body_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MAX_BODIES_IN_MEMORY))


def town_today(context: ContactApiDependencies) -> date:
    return context.pages.dates.today(context.pages.clock())


def install_problem_handlers(app: FastAPI, context: ContactApiDependencies) -> None:
    async def explain(request: Request, error: Exception) -> Response:
        if isinstance(error, ApiProblem):
            return _problem_response(context, request, error)
        if isinstance(error, Unavailable):
            log.warning("intake.deferred", channel="web", reason=str(error))
            return _problem_response(context, request, ApiProblem(503, "unavailable", wait_s=30))
        if isinstance(error, Rejected):
            return _problem_response(context, request, ApiProblem(413, "too-large"))
        if isinstance(error, AnyHTTPException):
            kind = _KINDS.get(error.status_code, "body")
            answer = _problem_response(context, request, ApiProblem(error.status_code, kind))
            answer.headers.update(error.headers or {})
            return answer
        return _problem_response(context, request, ApiProblem(500, "ours"))

    for kind in (ApiProblem, Rejected, Unavailable, AnyHTTPException, Exception):
        app.add_exception_handler(kind, explain)


def _problem_response(context: ContactApiDependencies, request: Request, problem: ApiProblem) -> Response:
    language = negotiate_language(request, context.pages.town)
    members: dict[str, Any] = {
        "type": f"urn:parvis:problem:{problem.kind}",
        "title": context.pages.translate(f"api.{problem.kind}", language),
        "status": problem.status,
    }
    if problem.errors:
        members["errors"] = problem.errors
    headers = {"retry-after": str(problem.wait_s)} if problem.wait_s else {}
    headers |= {"www-authenticate": "Bearer"} if problem.status == 401 else {}
    headers["content-language"] = language
    return JSONResponse(members, problem.status, headers=headers, media_type="application/problem+json")
