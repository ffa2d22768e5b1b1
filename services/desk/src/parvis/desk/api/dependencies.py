"""Holds the dependencies of the API's routes, checks what the calling program may do, and reads the case that most of them return."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from fastapi import Depends, HTTPException, Request
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.runtime.clock import now
from parvis.common.town.answer_texts import AnswerText
from parvis.common.town.models import TownConfig
from parvis.desk.api.json_bodies import CaseDetail, case_detail
from parvis.desk.decide.access_rights import CASE_ACTIONS, may, scope_of
from parvis.desk.fetch.claim_checks import ClaimCheckFetcher
from parvis.desk.models.accounts import (
    CONFIDENTIALITIES,
    EVERY_DEPARTMENT,
    AccessRules,
    Action,
    AuditRecord,
    CaseAccessFacts,
    DeskUser,
    RoleGrant,
)
from parvis.desk.models.case import Agent
from parvis.desk.store.accounts import read_case_facts
from parvis.desk.store.audit_trail import append_audit
from parvis.desk.store.case_transactions import CaseStore
from parvis.desk.store.counter_contacts import CounterContacts
from parvis.desk.store.outgoing_files import OutgoingFiles
from parvis.desk.store.sessions import find_session
from parvis.desk.store.single_case_queries import read_case, read_case_file, read_case_version
from parvis.desk.verify.agent_sessions import bearer_token, hash_token, is_same_token

# Whoever has the token of the settings, which works on loopback only.
DEVELOPMENT_PROGRAM = DeskUser(
    "", "API", (RoleGrant("agent", EVERY_DEPARTMENT, frozenset(CONFIDENTIALITIES)),), kind="development"
)


@dataclass(frozen=True)
class ApiDependencies:
    """The dependencies of the API's routes."""

    cases: CaseStore
    counter: CounterContacts
    town_config: TownConfig
    rules: AccessRules
    outgoing_files: OutgoingFiles
    claim_checks: ClaimCheckFetcher
    token: SecretStr | None
    answer_texts: tuple[AnswerText, ...] = ()
    withdrawal_period: timedelta = timedelta(seconds=10)

    def allow(self, action: Action) -> Any:
        """The dependency of a route that needs this right."""
        return Depends(ApiGuard(self, action))

    async def find_program(self, connection: AsyncConnection, token: str) -> DeskUser | None:
        """The program with this bearer token. None if no program has it, or its account is blocked."""
        if is_same_token(token, self.token):
            return DEVELOPMENT_PROGRAM
        stored = await find_session(connection, hash_token(token), at=now(), idle_since=None) if token else None
        return stored.user if stored and stored.user.kind == "program" else None


@dataclass(frozen=True, eq=False)  # FastAPI hashes it
class ApiGuard:
    """Lets a call through to its route if its program may do `action`, on the case or in the department that it names.

    Gives:  401 without a program's token; 404 for a case that the program may not read; 403 for any other refusal.
    """

    access: ApiDependencies
    action: Action

    async def __call__(self, request: Request) -> None:
        async with self.access.cases.database.transaction() as connection:
            program = await self.access.find_program(connection, bearer_token(request))
            if program is None:
                raise HTTPException(401, "bearer token required", headers={"www-authenticate": "Bearer"})
            request.state.program = program
            scope = await self._scope(connection, request)
            if not may(program, self.action, scope):
                is_seen = self.action not in CASE_ACTIONS or may(program, "case.read", scope)
                raise HTTPException(
                    403 if is_seen else 404, "not allowed" if is_seen else "no such case in this department"
                )
            if self.action.endswith((".read", ".export")):
                department, subject = (scope.department, scope.conversation_id) if scope else ("", "")
                read = AuditRecord(now(), program.account_id, program.name, self.action, department, subject, "api")
                await append_audit(connection, read)

    async def _scope(self, connection: AsyncConnection, request: Request) -> CaseAccessFacts | None:
        if self.action not in CASE_ACTIONS:
            department = request.query_params.get("department")
            return CaseAccessFacts(department) if department else None
        try:
            conversation = str(UUID(request.path_params["conversation_id"]))
        except ValueError:
            return None
        facts = await read_case_facts(connection, conversation)
        return scope_of(self.access.rules.confidential, *facts, conversation) if facts else None


def acting_agent(request: Request, name: str, department: str, quality: str) -> Agent:
    """The agent for whom a program acts; the audit trail names the program's account."""
    program: DeskUser = request.state.program
    return Agent(name, department, quality, program.account_id, is_program=True)


async def own_case(access: ApiDependencies, conversation_id: UUID, department: str) -> None:
    """Raises: HTTPException 404, when the department does not have the case."""
    async with access.cases.database.transaction() as connection:
        case = await read_case(connection, str(conversation_id))
    if case is None or case.department != department:
        raise HTTPException(404, "no such case in this department")


async def read_case_detail(access: ApiDependencies, conversation_id: UUID, department: str) -> CaseDetail:
    async with access.cases.database.transaction() as connection:
        case = await read_case(connection, str(conversation_id))
        if case is None or case.department != department:
            raise HTTPException(404, "no such case in this department")
        version = await read_case_version(connection, str(conversation_id))
        file = await read_case_file(connection, case)
    return case_detail(file, version)


def scoped_key(department: str, key: str | None) -> str:
    """An Idempotency-Key as a UUID, scoped to the department that sent it; a random one where none was sent."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"parvis-desk:{department}:{key}") if key else uuid.uuid4())
