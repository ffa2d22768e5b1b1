"""Verifies the session cookie of an agent and the bearer token of a program."""

import hmac
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fastapi import Request
from pydantic import SecretStr

from parvis.desk.models.case import Agent
from parvis.web import tokens
from parvis.web.security_headers import is_same_origin

COOKIE_NAME = "parvis-desk"


@dataclass(frozen=True)
class AgentSession:
    """A session: the agent with their department, and its id."""

    agent: Agent
    session_id: str


@dataclass(frozen=True)
class AgentSessions:
    """Sessions of the development login, in which anybody can act as any agent; therefore the desk listens on loopback only."""

    key: bytes
    lifetime: timedelta

    def issue_cookie(self, agent: Agent, now: datetime) -> str:
        """The cookie of a new session."""
        values = {"name": agent.name, "department": agent.department, "quality": agent.quality, "id": str(uuid.uuid4())}
        return tokens.sign_values(values | {"at": int(now.timestamp())}, "desk-session", self.key)

    def read_cookie(self, request: Request, now: datetime) -> AgentSession | None:
        values = tokens.read_signed_values(request.cookies.get(COOKIE_NAME, ""), "desk-session", self.key)
        if not values or now - datetime.fromtimestamp(values["at"], UTC) > self.lifetime:
            return None
        return AgentSession(Agent(values["name"], values["department"], values.get("quality", "")), values["id"])

    def csrf_token(self, session: AgentSession | None, now: datetime) -> str:
        return tokens.make_csrf_token(_binding(session), self.key, now)

    def is_own_form(self, request: Request, token: str, session: AgentSession | None, now: datetime) -> bool:
        """Whether a form was sent from one of our pages, in this session."""
        own_page = is_same_origin(request, str(request.base_url))
        return own_page and tokens.is_valid_csrf_token(token, _binding(session), self.key, now, lasts=self.lifetime)

    def one_time_token(self, session: AgentSession, now: datetime) -> str:
        """A one-time token for a form: sent twice, the form makes one reply, one transfer, one contact."""
        return tokens.make_one_time_token(_binding(session), self.key, now)

    def read_one_time_token(self, token: str, session: AgentSession) -> str | None:
        once = tokens.read_one_time_token(token, _binding(session), self.key)
        return once.seed if once else None


def _binding(session: AgentSession | None) -> str:
    return f"desk:{session.session_id}" if session else "desk:login"


def has_bearer_token(request: Request, token: SecretStr | None) -> bool:
    """Whether the request carries the API's token. False if no token is configured."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if token is None or scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode(), token.get_secret_value().encode())
