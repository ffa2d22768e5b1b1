"""Collects the routes of all pages."""

from fastapi import APIRouter

from parvis.desk.pages import (
    agent_action_forms,
    case_page,
    counter_form,
    live_events,
    login,
    original_files,
    queue_page,
    search_page,
)
from parvis.desk.pages.dependencies import DeskDependencies


def routes(dependencies: DeskDependencies) -> APIRouter:
    """All pages of the desk."""
    router = APIRouter()
    for module in (
        login,
        queue_page,
        search_page,
        live_events,
        case_page,
        agent_action_forms,
        counter_form,
        live_events,
        original_files,
    ):
        router.include_router(module.routes(dependencies))
    return router
