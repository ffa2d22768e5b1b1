"""Checks at each route who asks and what they may do, and records what they read; a route without it gets no session."""

import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.runtime.clock import Clock, now
from parvis.common.storage.postgres import Database
from parvis.common.town.models import TownConfig
from parvis.desk.decide.access_rights import CASE_ACTIONS, form_action, may, scope_of, working_departments
from parvis.desk.models.accounts import AccessRules, Action, AuditRecord, CaseAccessFacts
from parvis.desk.models.case import Agent
from parvis.desk.store import sessions as session_store
from parvis.desk.store.accounts import read_case_facts
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.verify.agent_sessions import AgentSession, SessionCookies, hash_token, new_token

# What shows personal data. Changes are recorded in the transaction that makes them.
_RECORDED: frozenset[Action] = frozenset(
    {"queue.read", "queue.export", "case.read", "file.read", "town.read", "audit.read", "account.read"}
)
_DEPARTMENT_ACTIONS: frozenset[Action] = frozenset({"queue.read", "queue.export", "contact.register", "absence.note"})


class NotLoggedIn(Exception):
    """The request has no session in force; it is redirected to the login page."""


class NotAllowed(Exception):
    """The account may not do this. `scope` is the case or department that it is about."""

    def __init__(self, action: Action, scope: CaseAccessFacts | None) -> None:
        super().__init__(action)
        self.action, self.scope = action, scope


@dataclass(frozen=True)
class DeskAccess:
    """Who may do what at the desk: sessions, rights, and the audit trail."""

    database: Database
    sessions: SessionCookies
    rules: AccessRules
    town_config: TownConfig
    clock: Clock = now

    def allow(self, action: Action | None, *, is_recorded: bool = True) -> Any:
        """The dependency of a route; without an action, the one that its form is named after.

        Shape:  is_recorded, false for what an open page asks by itself: the page is in the audit trail.
        """
        return Depends(RouteGuard(self, action, is_recorded))

    def may(self, session: AgentSession | None, action: Action) -> bool:
        """Whether a page shows this action: on the case that it is about, or else in the chosen department."""
        if session is None:
            return False
        if action in CASE_ACTIONS:
            return may(session.user, action, session.case)
        if action in _DEPARTMENT_ACTIONS:
            return may(session.user, action, CaseAccessFacts(session.own_department))
        return may(session.user, action)

    async def may_still(
        self, connection: AsyncConnection, request: Request, session: AgentSession, action: Action
    ) -> bool:
        """Whether a stream goes on: its session is in force, and still has the right that it began with, where it began."""
        present = await self.find_session(connection, request, is_use=False)
        if present is None:
            return False
        if session.case is None:
            scope = CaseAccessFacts(present.own_department)
            return scope.department == session.own_department and may(present.user, action, scope)
        scope = await self.scope_of_case(connection, session.case.conversation_id)
        return scope is not None and scope.department == session.case.department and may(present.user, action, scope)

    async def find_session(
        self, connection: AsyncConnection, request: Request, *, is_use: bool = True
    ) -> AgentSession | None:
        """The session of a request's cookie. None if there is none in force. Its idle time begins anew if somebody uses it."""
        token_hash, at = self.sessions.read_cookie(request), self.clock()
        if token_hash is None:
            return None
        idle_since = at - self.sessions.idle
        stored = await session_store.find_session(connection, token_hash, at=at, idle_since=idle_since, is_use=is_use)
        if stored is None or stored.user.kind == "program":
            return None
        departments = working_departments(stored.user, self.town_config.departments)
        department = stored.department if stored.department in departments else next(iter(departments), "")
        agent = Agent(stored.user.name, department, stored.user.quality, stored.user.account_id)
        return AgentSession(agent, stored.session_id, stored.user, department, id_token=stored.id_token)

    async def begin_session(
        self, connection: AsyncConnection, account_id: str, *, department: str = "", id_token: str | None = None
    ) -> str:
        """Begin a session and give its token, which the browser alone keeps. Whatever session it had is another one."""
        token, at = new_token(), self.clock()
        values: dict[str, object] = {
            "session_id": str(uuid.uuid4()), "account_id": account_id, "department": department, "id_token": id_token,
        }  # fmt: skip
        await session_store.begin_session(
            connection, hash_token(token), values, at=at, expires_at=at + self.sessions.lifetime
        )
        await session_store.purge_sessions(connection, before=at - timedelta(days=1))
        return token

    async def scope_of_case(self, connection: AsyncConnection, conversation: str) -> CaseAccessFacts | None:
        """The scope of a case. None if there is no such case."""
        facts = await read_case_facts(connection, conversation)
        return scope_of(self.rules.confidential, *facts, conversation) if facts else None

    def record(self, session: AgentSession, action: str, *, subject: str = "", detail: str = "") -> AuditRecord:
        """An entry of the audit trail about what this session does now."""
        department = session.case.department if session.case else session.own_department
        return AuditRecord(
            self.clock(), session.user.account_id, session.user.name, action, department, subject, detail
        )


@dataclass(frozen=True, eq=False)  # FastAPI hashes it
class RouteGuard:
    """Lets a request through to its route, with its session in `request.state.session`, if its account may do `action`.

    Gives:  on a case that the account may act on, the session works for the department that has the case.
    Raises: NotLoggedIn; NotAllowed. Neither if the case is another department's: its page says where it went, or 404.
    """

    access: DeskAccess
    action: Action | None
    is_recorded: bool = True

    async def __call__(self, request: Request) -> None:
        access, action = self.access, self.action or form_action(request.path_params.get("action", ""))
        async with access.database.transaction() as connection:
            session = await access.find_session(connection, request)
            if session is None:
                raise NotLoggedIn
            request.state.session = session
            request.state.session = session = await self._on_its_subject(connection, request, session, action)
            if self.is_recorded and action in _RECORDED:
                await append_audit(connection, access.record(session, action, **_subject(request)))

    async def _on_its_subject(
        self, connection: AsyncConnection, request: Request, session: AgentSession, action: Action
    ) -> AgentSession:
        """The session with the case or department that the request is about. Raises: NotAllowed."""
        if action in CASE_ACTIONS:
            conversation = _conversation(request)
            scope = await self.access.scope_of_case(connection, conversation) if conversation else None
            if scope is None or not may(session.user, action, scope):
                raise NotAllowed(action, scope)
            return replace(session, agent=replace(session.agent, department=scope.department), case=scope)
        scope = CaseAccessFacts(session.own_department) if action in _DEPARTMENT_ACTIONS else None
        if not may(session.user, action, scope):
            raise NotAllowed(action, scope)
        return session


def _conversation(request: Request) -> str | None:
    try:
        return str(uuid.UUID(request.path_params.get("conversation", "")))
    except ValueError:
        return None


def _subject(request: Request) -> dict[str, str]:
    """What was read: the case and, within it or in general, which part of the page's address names it."""
    named = {name: str(value)[:80] for name, value in request.path_params.items() if name != "conversation"}
    chosen = {
        name: request.query_params[name][:40]
        for name in ("show", "of", "day", "after", "until", "what", "format")
        if name in request.query_params
    }
    detail = " ".join(f"{name}={value}" for name, value in (named | chosen).items())
    return {"subject": _conversation(request) or "", "detail": detail}
