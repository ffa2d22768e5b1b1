"""Holds the dependencies of all pages: session, CSRF-checked form, rendering."""

import re
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from fastapi import HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from parvis.common.files.previews.page_preview import PagePreviews
from parvis.common.runtime.clock import Clock, now
from parvis.common.town.answer_texts import AnswerText
from parvis.common.town.models import TownConfig
from parvis.common.town.templates import TemplateSet
from parvis.desk.decide.access_rights import may_read_case, working_departments
from parvis.desk.decide.apply_agent_actions import ActionContext
from parvis.desk.fetch.claim_checks import ClaimCheckFetcher
from parvis.desk.models.outgoing_file import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES
from parvis.desk.pages.access import DeskAccess, NotLoggedIn
from parvis.desk.render.view_models import channel_label, describe_remark
from parvis.desk.store.case_transactions import CaseStore
from parvis.desk.store.counter_contacts import CounterContacts
from parvis.desk.store.live_updates import LiveUpdates
from parvis.desk.store.outgoing_files import OutgoingFiles
from parvis.desk.verify.agent_sessions import AgentSession, SessionCookies
from parvis.desk.verify.passkeys import PasskeyVerifier
from parvis.web.form_parsing import SubmittedForm, read_form
from parvis.web.language_negotiation import language_switch_url, negotiate_language, remember_language
from parvis.web.oidc.relying_party import RelyingParty
from parvis.web.pages import PageRenderer
from parvis.web.security_headers import allow_scripts

_LIST_COOKIE = "parvis-desk-list"
_LONGEST_QUERY = 600
_QUERY = re.compile(r"(?!.*notice=)[A-Za-z0-9_.~%+&=-]{1,600}")
LARGEST_FORM_BYTES = 256 * 1024
_LARGEST_WITH_FILES_BYTES = LARGEST_FORM_BYTES + MAX_TOTAL_BYTES
LARGEST_BODY_BYTES = 4 * _LARGEST_WITH_FILES_BYTES  # files beyond the limit are read too, so that the text comes back
_FILE_LIMITS = {
    "largest_bytes": _LARGEST_WITH_FILES_BYTES,
    "largest_file_bytes": MAX_FILE_BYTES,
    "most_files": MAX_FILES,
}


@dataclass(frozen=True)
class DeskDependencies:
    """The dependencies of all pages."""

    town_config: TownConfig
    templates: TemplateSet
    pages: PageRenderer
    answer_texts: tuple[AnswerText, ...]
    cases: CaseStore
    counter_contacts: CounterContacts
    claim_checks: ClaimCheckFetcher
    outgoing_files: OutgoingFiles
    page_previews: PagePreviews
    access: DeskAccess
    live_updates: LiveUpdates
    logins: frozenset[str]
    passkeys: PasskeyVerifier
    provider: RelyingParty | None = None
    clock: Clock = now
    public_url: str = ""  # of the town's pages, for the code on a receipt
    withdrawal_period: timedelta = timedelta(seconds=10)  # between the click and the departure of an answer

    @property
    def sessions(self) -> SessionCookies:
        return self.access.sessions

    def require_session(self, request: Request) -> AgentSession:
        """The session that the route's guard found.

        Raises: NotLoggedIn, also on a route without a guard.
        """
        session: AgentSession | None = getattr(request.state, "session", None)
        if session is None:
            raise NotLoggedIn
        return session

    def action_context(self, session: AgentSession) -> ActionContext:
        """Who acts, and when: now."""
        may_read = partial(may_read_case, session.user, self.access.rules.confidential)
        return ActionContext(session.agent, self.town_config, self.clock(), may_read)

    async def read_own_form(
        self, request: Request, session: AgentSession | None, *, has_files: bool = False
    ) -> SubmittedForm:
        """A form from one of our own pages, in this session. One with files is to be closed.

        Raises: HTTPException 403.
        """
        if not self.sessions.is_own_page(request):
            raise HTTPException(403)
        form = await read_form(request, **(_FILE_LIMITS if has_files else {"largest_bytes": LARGEST_FORM_BYTES}))
        if not self.sessions.is_own_form(request, form.first("_csrf"), session, self.clock()):
            await form.close()
            raise HTTPException(403)
        return form

    def render_page(
        self,
        request: Request,
        template: str,
        session: AgentSession | None,
        *,
        status: int = 200,
        path: str | None = None,
        **values: Any,
    ) -> Response:
        """A page in the agent's language, with the values that every page of the desk uses.

        Shape:  path, where the same page can be had after a form was sent, with what was typed.
        """
        language = negotiate_language(request, self.town_config.town)
        html = self.pages.render(
            template,
            language,
            session=session,
            may=partial(self.access.may, session),
            departments_of=partial(working_departments, departments=self.town_config.departments),
            csrf=self.sessions.csrf_token(session, self.clock()),
            once=self.sessions.one_time_token(session, self.clock()) if session else "",
            town_config=self.town_config,
            here=request.url.path,
            back=last_list(request),
            notice=_notice(request),
            language_switch_url=language_switch_url(request, self.pages, path),
            channel_label=partial(channel_label, self.pages.words, language=language),
            describe_remark=partial(describe_remark, self.pages.words, language=language),
            **values,
        )
        response = HTMLResponse(html, status_code=status, headers=allow_scripts({}) if session else None)
        remember_language(request, response, self.town_config.town)
        return response


def redirect(path: str) -> Response:
    """Redirect (303) after a form was handled."""
    return RedirectResponse(path, status_code=303)


def remember_list(request: Request, response: Response) -> None:
    """Remember the list that was shown, with its page and filter: a case leads back to it."""
    response.set_cookie(_LIST_COOKIE, request.url.query[:_LONGEST_QUERY], httponly=True, samesite="lax", path="/")


def last_list(request: Request) -> str:
    """The path of the list that was shown last."""
    query = request.cookies.get(_LIST_COOKIE, "")
    return f"/queue?{query}" if _QUERY.fullmatch(query) else "/queue"


def _notice(request: Request) -> str:
    """The key of the notice that the redirect named. Empty if unknown."""
    notice = request.query_params.get("notice", "")
    return notice if notice in NOTICES else ""


NOTICES = frozenset(
    [
        "taken",
        "released",
        "draft_kept",
        "attached",
        "file_removed",
        "closed",
        "reopened",
        "replied",
        "called",
        "snoozed",
        "woken",
        "assigned",
        "corrected",
        "replied_next",
        "withdrawn",
        "too_late",
        "noted",
        "call_noted",
        "wish_confirmed",
        "transfer_asked",
        "split_asked",
        "link_asked",
        "unlink_asked",
        "written_down",
        "logged_out",
        "enrolled",
        "granted",
        "revoked",
        "reviewed",
        "decided",
        "deputy_named",
        "department_chosen",
        "absence_noted",
    ]
)
