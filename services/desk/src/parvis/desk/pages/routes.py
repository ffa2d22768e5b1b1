"""Collects the routes of all pages."""

from fastapi import APIRouter

from parvis.desk.pages import (
    accounts_page,
    agent_action_forms,
    audit_page,
    break_glass,
    case_page,
    counter_form,
    login,
    original_files,
    own_account,
    queue_page,
)
from parvis.desk.pages.dependencies import DeskDependencies

_MODULES = (
    login, queue_page, case_page, agent_action_forms, counter_form, original_files, own_account, accounts_page, audit_page, break_glass,
)  # fmt: skip


def routes(dependencies: DeskDependencies) -> APIRouter:
    """All pages of the desk."""
    router = APIRouter()
    for module in _MODULES:
        router.include_router(module.routes(dependencies))
    return router
