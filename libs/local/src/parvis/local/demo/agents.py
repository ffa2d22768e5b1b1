"""Works cases as an agent would, through the desk's API."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import httpx

from parvis.common.contract.errors import Unavailable
from parvis.local.stack import Stack

PATIENCE_S = 60.0
NAME = "Camille Exemple"


class DemoAgents:
    """Agents of all departments. `async with DemoAgents(stack) as agents`."""

    def __init__(self, stack: Stack) -> None:
        token = stack.env["PARVIS_DESK_API_TOKEN"]
        self._http = httpx.AsyncClient(
            base_url=f"{stack.url('desk')}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=20
        )

    async def __aenter__(self) -> "DemoAgents":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def case(self, conversation_id: str, department: str) -> dict[str, Any]:
        """Wait for the case in that department's queue."""
        ends_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_at:
            answer = await self._http.get(f"/cases/{conversation_id}", params={"department": department})
            if answer.status_code == 200:
                return answer.json()
            await asyncio.sleep(0.1)
        raise Unavailable(f"{conversation_id} is not in the queue of {department} after {PATIENCE_S:.0f} s")

    async def cases(self, department: str, *, state: str = "open") -> list[dict[str, Any]]:
        """List a department's cases."""
        answer = await self._http.get("/cases", params={"department": department, "state": state, "limit": 200})
        answer.raise_for_status()
        return answer.json()["cases"]

    async def answer(self, conversation_id: str, department: str, text: str) -> dict[str, Any]:
        """Take the case and answer it."""
        await self.case(conversation_id, department)
        await self._do(conversation_id, "take", department)
        return await self._do(conversation_id, "reply", department, text=text, then="closed")

    async def transfer(self, conversation_id: str, department: str, to: str, reason: str) -> dict[str, Any]:
        return await self._do(conversation_id, "transfer", department, to_department=to, reason=reason)

    async def split(self, conversation_id: str, department: str, contacts: Sequence[str], to: str) -> dict[str, Any]:
        """Request that some contacts be split off into a case of their own."""
        body: dict[str, Any] = {"contact_ids": list(contacts), "to_department": to, "reason": "Autre chose."}
        return await self._do(conversation_id, "split", department, **body)

    async def link(self, conversation_id: str, department: str, reference: str, **more: str) -> dict[str, Any]:
        """Request a link to the case of a reference; `wanted="unlinked"` undoes it."""
        return await self._do(conversation_id, "link", department, reference=reference, **more)

    async def receive_at_the_counter(self, department: str, text: str, **visit: Any) -> dict[str, Any]:
        """Enter a visitor's request."""
        body = {"agent": NAME, "department": department, "channel": "counter", "text": text} | visit
        return self._checked(await self._http.post("/contacts", json=body))

    async def _do(self, conversation_id: str, action: str, department: str, **more: Any) -> dict[str, Any]:
        body = {"agent": NAME, "department": department} | more
        return self._checked(await self._http.post(f"/cases/{conversation_id}/{action}", json=body))

    @staticmethod
    def _checked(answer: httpx.Response) -> dict[str, Any]:
        if answer.status_code >= 400:
            raise Unavailable(f"the desk refused the request: {answer.status_code} {answer.text[:200]}")
        return answer.json()
