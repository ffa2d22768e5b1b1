"""An agent asks for a page or sends a form; every change is a POST, checked, and answered with a redirect."""

from fastapi import APIRouter

from parvis.desk.pages import acting, case, counter, login, originals, queue
from parvis.desk.pages.place import Place


def routes(place: Place) -> APIRouter:
    """All pages of the desk."""
    router = APIRouter()
    for module in (login, queue, case, acting, counter, originals):
        router.include_router(module.routes(place))
    return router


__all__ = ["Place", "routes"]
