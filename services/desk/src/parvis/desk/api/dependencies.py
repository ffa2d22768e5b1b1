"""What the API stands on, and who may use it."""

import uuid
from dataclasses import dataclass
from uuid import UUID

from fastapi import HTTPException
from pydantic import SecretStr

from parvis.common.town.models import TownConfig
from parvis.desk.api.response_models import CaseDetail, detail
from parvis.desk.store.case_queries import case_of, file_of
from parvis.desk.store.case_transactions import Cases
from parvis.desk.store.counter_contacts import Counter


@dataclass(frozen=True)
class Access:
    """What the API stands on; without a token it answers nobody."""

    cases: Cases
    counter: Counter
    town_config: TownConfig
    token: SecretStr | None


async def detail_of(access: Access, conversation_id: UUID, department: str) -> CaseDetail:
    async with access.cases.database.transaction() as connection:
        case = await case_of(connection, str(conversation_id))
        if case is None or case.department != department:
            raise HTTPException(404, "no such case in this department")
        file = await file_of(connection, case)
    return detail(file)


def once_of(key: str | None) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"parvis-desk:{key}") if key else uuid.uuid4())
