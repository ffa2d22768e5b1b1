"""Simulates a second SMS provider: `POST /gateway/messages` with the town's own id, and `GET` for the status."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from parvis.simulators.settings import Settings
from parvis.simulators.twilio.magic_numbers import behaviour_of

# The behaviours of the magic numbers as this provider's errors.
_REFUSED = {21211: "invalid-number", 21610: "opted-out", 21617: "too-long"}
_UNDELIVERED = {30003: "absent-subscriber", 30005: "unknown-subscriber", 30008: "expired"}


class GatewayMessage(BaseModel):
    """One message as the town sends it."""

    id: str = Field(min_length=1, max_length=80)
    to: str
    sender: str = Field(validation_alias="from")
    text: str = Field(max_length=1600)


@dataclass
class Gateway:
    """The accepted messages by the town's id. `answer`, if set, is the HTTP status of every response."""

    settings: Settings
    answer: int | None = None
    messages: dict[str, GatewayMessage] = field(default_factory=dict[str, GatewayMessage])
    taken_at: dict[str, datetime] = field(default_factory=dict[str, datetime])
    calls: int = 0

    def routes(self) -> APIRouter:
        router = APIRouter(prefix="/gateway")
        router.add_api_route("/messages", self.create, methods=["POST"])
        router.add_api_route("/messages/{name}", self.tell, methods=["GET"])
        return router

    async def create(self, request: Request, message: GatewayMessage) -> JSONResponse:
        self.calls += 1
        if trouble := self._trouble(request):
            return trouble
        refusal = _REFUSED.get(behaviour_of(message.to).refused_with or 0)
        if refusal:
            return JSONResponse({"error": refusal}, 422)
        if message.id in self.messages:
            return JSONResponse({"id": message.id, "error": "duplicate"}, 409)
        self.messages[message.id], self.taken_at[message.id] = message, datetime.now(UTC)
        return JSONResponse({"id": message.id, "status": "queued"}, 202)

    async def tell(self, request: Request, name: str) -> JSONResponse:
        if trouble := self._trouble(request):
            return trouble
        if name not in self.messages:
            return JSONResponse({"error": "unknown"}, 404)
        return JSONResponse({"id": name} | self._status(name))

    def _status(self, name: str) -> dict[str, Any]:
        behaviour = behaviour_of(self.messages[name].to)
        if datetime.now(UTC) - self.taken_at[name] < timedelta(milliseconds=self.settings.step_ms):
            return {"status": "queued"}
        if behaviour.error_code:
            return {"status": "undelivered", "error": _UNDELIVERED.get(behaviour.error_code, "rejected")}
        return {"status": "delivered"}

    def _trouble(self, request: Request) -> JSONResponse | None:
        if request.headers.get("Authorization") != f"Bearer {self.settings.twilio_auth_token.get_secret_value()}":
            return JSONResponse({"error": "token"}, 401)
        return JSONResponse({"error": "trouble"}, self.answer) if self.answer else None
