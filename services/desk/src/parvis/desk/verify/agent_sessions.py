"""Verifies session cookies, the forms of a session, and bearer tokens; a token is kept nowhere but with its holder."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Request, Response
from pydantic import SecretStr

from parvis.desk.models.accounts import CaseAccessFacts, DeskUser
from parvis.desk.models.case import Agent
from parvis.web import tokens
from parvis.web.security_headers import is_same_origin

_COOKIE_NAME = "parvis-desk"


@dataclass(frozen=True)
class AgentSession:
    """A session: the agent with the department they work for in this request, and what their account may do.

    Shape:  `case` is the case of the request's path; None on other pages.
    """

    agent: Agent
    session_id: str
    user: DeskUser
    own_department: str = ""
    case: CaseAccessFacts | None = None
    id_token: str | None = None


@dataclass(frozen=True)
class SessionCookies:
    """Makes and reads what a session's browser holds.

    Shape:  `lifetime` is how long a session lasts at most, `idle` without a request; `public_url` is where the desk is reached.
    """

    key: bytes
    lifetime: timedelta
    idle: timedelta
    public_url: str

    @property
    def is_https(self) -> bool:
        return self.public_url.startswith("https://")

    @property
    def cookie_name(self) -> str:
        # Browsers take a __Host- cookie over https only, for this host alone and every path: no other host can plant one.
        return f"__Host-{_COOKIE_NAME}" if self.is_https else _COOKIE_NAME

    def set_cookie(self, response: Response, token: str) -> None:
        response.set_cookie(
            self.cookie_name,
            token,
            max_age=int(self.lifetime.total_seconds()),
            httponly=True,
            secure=self.is_https,
            samesite="lax",
            path="/",
        )

    def delete_cookie(self, response: Response) -> None:
        response.delete_cookie(self.cookie_name, path="/", secure=self.is_https, httponly=True, samesite="lax")

    def read_cookie(self, request: Request) -> bytes | None:
        """The hash of the session's token. None without a cookie."""
        token = request.cookies.get(self.cookie_name, "")
        return hash_token(token) if token else None

    def csrf_token(self, session: AgentSession | None, now: datetime) -> str:
        return tokens.make_csrf_token(_binding(session), self.key, now)

    def is_own_page(self, request: Request) -> bool:
        return is_same_origin(request, self.public_url)

    def is_own_form(self, request: Request, token: str, session: AgentSession | None, now: datetime) -> bool:
        """Whether a form was sent from one of our pages, in this session."""
        is_valid = tokens.is_valid_csrf_token(token, _binding(session), self.key, now, lasts=self.lifetime)
        return self.is_own_page(request) and is_valid

    def one_time_token(self, session: AgentSession, now: datetime) -> str:
        """A one-time token for a form: sent twice, the form makes one reply, one transfer, one contact."""
        return tokens.make_one_time_token(_binding(session), self.key, now)

    def read_one_time_token(self, token: str, session: AgentSession) -> str | None:
        once = tokens.read_one_time_token(token, _binding(session), self.key)
        return once.seed if once else None


def _binding(session: AgentSession | None) -> str:
    return f"desk:{session.session_id}" if session else "desk:login"


def new_token() -> str:
    """256 random bits: a session, an enrolment link, a state that a browser brings back."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> bytes:
    """What the database keeps of a token. Random tokens need neither salt nor a slow hash."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def bearer_token(request: Request) -> str:
    """The bearer token of a request. Empty if it has none."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else ""


def is_same_token(given: str, token: SecretStr | None) -> bool:
    """Whether this is the token of the settings. False if none is configured."""
    return token is not None and hmac.compare_digest(given.encode(), token.get_secret_value().encode())
