"""Serves the pages that the notifier's messages link to."""

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from parvis.notifier.pages import reply_page, unsubscribe
from parvis.notifier.pages.dependencies import PageDependencies


def routes(site: PageDependencies) -> APIRouter:
    """All pages of the notifier; `/` redirects to the town's site."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def home() -> RedirectResponse:
        return RedirectResponse(site.town_url, status_code=303)

    _ = home
    for module in (unsubscribe, reply_page):
        router.include_router(module.routes(site))
    return router
