"""Tells whose draft it is: two people of one name have two."""

from sqlalchemy.ext.asyncio import AsyncConnection

from parvis.common.runtime.clock import now
from parvis.desk.models.accounts import CaseAccessFacts
from parvis.desk.models.case import Agent
from parvis.desk.store.department_agents import read_agents


async def find_draft_owner(connection: AsyncConnection, agent: Agent) -> str:
    """The account's id. For a program, that of the only agent of the department with the name that it gives, or else that name."""
    if agent.account_id and not agent.is_program:
        return agent.account_id
    namesakes = await read_agents(connection, CaseAccessFacts(agent.department), now(), names=[agent.name])
    return namesakes[0].account_id if len(namesakes) == 1 else f"name:{agent.name}"
