"""A citizen follows a link of ours: out of information by mail, or to a reply that is kept for them."""

from fastapi import APIRouter
from fastapi.responses import RedirectResponse

from parvis.notifier.pages import inbox, unsubscribe
from parvis.notifier.pages.dependencies import Place

__all__ = ["Place", "routes"]


def routes(place: Place) -> APIRouter:
    """All pages of the notifier; the way home leads to the town's own."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def home() -> RedirectResponse:
        return RedirectResponse(place.town_url, status_code=303)

    _ = home
    for module in (unsubscribe, inbox):
        router.include_router(module.routes(place))
    return router
