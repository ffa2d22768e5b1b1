"""Equips a service's FastAPI app with security headers, static files and error pages."""

from fastapi import FastAPI, Response
from starlette.exceptions import HTTPException

from parvis.web.error_pages import install_error_pages
from parvis.web.pages import PageRenderer
from parvis.web.security_headers import SecurityHeaders


def install_pages(app: FastAPI, pages: PageRenderer) -> None:
    """Adds security headers, the static files and error pages to an app."""
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
