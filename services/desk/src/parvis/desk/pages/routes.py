"""Collects the routes of all pages."""

from fastapi import APIRouter

from parvis.desk.pages import (
    absence_page,
    accounts_page,
    agent_action_forms,
    audit_page,
    break_glass,
    bulk_page,
    case_page,
    counter_form,
    counter_receipt,
    counter_search,
    enrolment,
    export_page,
    live_events,
    local_login,
    login,
    login_approvals_page,
    oidc_login,
    original_files,
    own_account_page,
    queue_page,
    reply_files,
    search_page,
    town_page,
)
from parvis.desk.pages.dependencies import DeskDependencies

_MODULES = (
    login, oidc_login, local_login, enrolment, queue_page, export_page, bulk_page, absence_page, search_page, town_page, live_events, case_page, agent_action_forms,
    counter_form, counter_search, counter_receipt, original_files, reply_files, own_account_page, accounts_page, login_approvals_page,
    break_glass, audit_page,
)  # fmt: skip


def routes(dependencies: DeskDependencies) -> APIRouter:
    """All pages of the desk."""
    router = APIRouter()
    for module in _MODULES:
        router.include_router(module.routes(dependencies))
    return router
