"""Models accounts, what they may do, and the case facts that this depends on. Data only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, get_args

Role = Literal["agent", "supervisor", "counter", "auditor", "administrator"]
ROLES: tuple[Role, ...] = get_args(Role)
ROLE_BY_NAME: dict[str, Role] = {role: role for role in ROLES}
Confidentiality = Literal["social", "minors", "police"]
CONFIDENTIALITIES: tuple[Confidentiality, ...] = get_args(Confidentiality)
EVERY_DEPARTMENT = "*"
AccountKind = Literal["development", "local", "oidc", "program"]

Action: TypeAlias = Literal[
    "absence.note",
    "account.read",
    "account.grant",
    "account.revoke",
    "audit.read",
    "break-glass.open",
    "break-glass.review",
    "case.change",
    "case.read",
    "case.reply",
    "case.transfer",
    "contact.register",
    "deputy.name",
    "file.read",
    "identity.approve",
    "queue.export",
    "queue.read",
    "session.own",
    "town.read",
]
ACTIONS: tuple[Action, ...] = get_args(Action)


@dataclass(frozen=True)
class RoleGrant:
    """A role in one department, or in every one ("*"), with the kinds of confidential cases that it opens."""

    role: Role
    department: str
    confidential: frozenset[str] = frozenset()
    grant_id: str = ""
    source: str = "admin"
    expires_at: datetime | None = None


@dataclass(frozen=True)
class CaseAccessFacts:
    """The facts of a case that decide who may see it."""

    department: str
    confidential: frozenset[str] = frozenset()
    conversation_id: str = ""


@dataclass(frozen=True)
class DeskUser:
    """An account with its grants in force. `opened` are the cases that it opened with a reason, for the time being."""

    account_id: str
    name: str
    grants: tuple[RoleGrant, ...]
    opened: frozenset[str] = frozenset()
    mail: str = ""
    quality: str = ""
    kind: AccountKind = "local"

    @property
    def departments(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(grant.department for grant in self.grants))


@dataclass(frozen=True)
class DeskAccount:
    """An account as the administrator sees it."""

    account_id: str
    name: str
    mail: str | None
    kind: AccountKind
    created_at: datetime
    disabled_at: datetime | None = None
    grants: tuple[RoleGrant, ...] = ()


@dataclass(frozen=True)
class AuditEntry:
    """One line of the audit trail. It has ids and names of staff, never a citizen's data."""

    number: int
    at: datetime
    account_id: str
    actor: str
    action: str
    department: str
    subject: str
    detail: str
    previous_hash: bytes
    hash: bytes


@dataclass(frozen=True)
class AuditRecord:
    """What is to be appended to the audit trail."""

    at: datetime
    account_id: str
    actor: str
    action: str
    department: str = ""
    subject: str = ""
    detail: str = ""


@dataclass(frozen=True)
class ConfidentialCases:
    """Which cases are confidential, and how: by their department, procedure or tag."""

    departments: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    procedures: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    tags: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])


@dataclass(frozen=True)
class HiddenCases:
    """What a department's queue leaves out for somebody: every case, or those of some procedures or with some tags."""

    everything: bool = False
    procedures: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClaimGrant:
    """A grant that everybody gets whose login states a claim with this value."""

    claim: str
    value: str
    grant: RoleGrant

    def is_stated_by(self, claims: Mapping[str, Any]) -> bool:
        stated = claims.get(self.claim)
        return self.value in (stated if isinstance(stated, list) else [stated])


@dataclass(frozen=True)
class AccessRules:
    """The town's own rules of `access.yaml`."""

    confidential: ConfidentialCases = ConfidentialCases()
    claims: tuple[ClaimGrant, ...] = ()
