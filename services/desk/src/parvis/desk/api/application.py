"""Builds the JSON API: bearer token, OpenAPI description, the same rules as the pages."""

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPBearer

from parvis.desk.api import get_cases, post_actions
from parvis.desk.api.dependencies import ApiDependencies
from parvis.desk.verify.agent_sessions import has_bearer_token
from parvis.web.error_pages import install_error_pages
from parvis.web.pages import PageRenderer


def application(access: ApiDependencies, pages: PageRenderer) -> FastAPI:
    """The API as an application of its own, with its OpenAPI description at /api/v1/openapi.json.

    Gives: 200 with the case after the change, once it is committed; 401 without the token; 404 when the case is not
           with that department; 409 with the key of what is refused; 422 for a body that does not fit; 503.
    """

    async def authorised(request: Request) -> None:
        if not has_bearer_token(request, access.token):
            raise HTTPException(401, "bearer token required", headers={"www-authenticate": "Bearer"})

    app = FastAPI(
        title="Parvis desk", version="1", docs_url=None, redoc_url=None, dependencies=[Depends(HTTPBearer(auto_error=False)), Depends(authorised)],
        description="What agents do on the pages of the desk, for programs. Development only: one token for all.",
    )  # fmt: skip
    install_error_pages(app, pages)
    get_cases.routes(app, access)
    post_actions.routes(app, access)
    return app
