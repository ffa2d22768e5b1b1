"""Holds the dependencies of the API's routes, and reads the case that most of them return."""

import uuid
from dataclasses import dataclass
from uuid import UUID

from fastapi import HTTPException
from pydantic import SecretStr

from parvis.common.town.models import TownConfig
from parvis.desk.api.response_models import CaseDetail, case_detail
from parvis.desk.store.case_queries import read_case, read_case_file, read_case_version
from parvis.desk.store.case_transactions import CaseStore
from parvis.desk.store.counter_contacts import CounterContacts


@dataclass(frozen=True)
class ApiDependencies:
    """The dependencies of the API's routes. Without a token every call is answered 401."""

    cases: CaseStore
    counter: CounterContacts
    town_config: TownConfig
    token: SecretStr | None


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
