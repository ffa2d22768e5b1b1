"""Decides what a user may do: by role, department and confidentiality. Every page and API call asks `may`. Pure; no I/O."""

from collections.abc import Iterable, Mapping, Sequence

from parvis.desk.models.accounts import (
    CONFIDENTIALITIES,
    EVERY_DEPARTMENT,
    Action,
    CaseAccessFacts,
    ConfidentialCases,
    DeskUser,
    HiddenCases,
    Role,
    RoleGrant,
)
from parvis.desk.models.case import Case

_AGENT: frozenset[Action] = frozenset(
    ["queue.read", "case.read", "case.change", "case.reply", "case.transfer", "file.read", "contact.register",
     "break-glass.open", "deputy.name", "town.read"]
)  # fmt: skip
_SUPERVISION: frozenset[Action] = frozenset({"absence.note", "break-glass.review", "identity.approve", "queue.export"})
# An administrator gives rights and an auditor reads the trail; neither reads what citizens write.
ROLE_ACTIONS: dict[Role, frozenset[Action]] = {
    "agent": _AGENT,
    "supervisor": _AGENT | _SUPERVISION,
    "counter": frozenset({"contact.register", "town.read"}),
    "auditor": frozenset({"audit.read"}),
    "administrator": frozenset({"account.read", "account.grant", "account.revoke"}),
}
CASE_ACTIONS: frozenset[Action] = frozenset({"case.read", "case.change", "case.reply", "case.transfer", "file.read"})
# What a case that was opened with a reason allows: to read it, and no more.
BREAK_GLASS_ACTIONS: frozenset[Action] = frozenset({"case.read", "file.read"})
_FORM_ACTIONS: dict[str, Action] = {
    "reply": "case.reply",
    "withdraw": "case.reply",
    "insert": "case.reply",
    "attach": "case.reply",
    "remove-file": "case.reply",
    "transfer": "case.transfer",
    "split": "case.transfer",
}


def may(user: DeskUser, action: Action, case: CaseAccessFacts | None = None) -> bool:
    """Whether the user may do this.

    Shape:  `case` is the case that the action is about, or the department alone; None for what concerns neither.
    Gives:  False for an action on cases without a case.
    """
    if action == "session.own":
        return True
    if case is None:
        return action not in CASE_ACTIONS and any(action in ROLE_ACTIONS[grant.role] for grant in user.grants)
    if action in BREAK_GLASS_ACTIONS and case.conversation_id and case.conversation_id in user.opened:
        return True
    covering = [
        grant for grant in user.grants if action in ROLE_ACTIONS[grant.role] and _is_about(grant, case.department)
    ]
    return bool(covering) and case.confidential <= frozenset[str]().union(*(grant.confidential for grant in covering))


def _is_about(grant: RoleGrant, department: str) -> bool:
    return grant.department in (EVERY_DEPARTMENT, department)


def form_action(name: str) -> Action:
    """The right that a form of a case's page needs; changing the case, unless it is named here."""
    return _FORM_ACTIONS.get(name, "case.change")


def scope_of(
    rules: ConfidentialCases, department: str, procedure: str | None, tags: Iterable[str], conversation_id: str = ""
) -> CaseAccessFacts:
    """The scope of a case: it is confidential if its department, its procedure or one of its tags is."""
    kinds = rules.departments.get(department, frozenset[str]())
    kinds |= rules.procedures.get(procedure or "", frozenset[str]())
    for tag in tags:
        kinds |= rules.tags.get(tag, frozenset[str]())
    return CaseAccessFacts(department, kinds, conversation_id)


def may_read_case(user: DeskUser, rules: ConfidentialCases, case: Case) -> bool:
    """Whether the user may read a case as it is here."""
    return may(user, "case.read", scope_of(rules, case.department, case.procedure, case.tags, case.conversation_id))


def hidden_cases(user: DeskUser, rules: ConfidentialCases, department: str) -> HiddenCases:
    """The cases of a department that the user may not read."""
    hidden = {
        kind for kind in CONFIDENTIALITIES if not may(user, "case.read", CaseAccessFacts(department, frozenset({kind})))
    }
    return HiddenCases(
        everything=bool(rules.departments.get(department, frozenset[str]()) & hidden),
        procedures=tuple(slug for slug, kinds in rules.procedures.items() if kinds & hidden),
        tags=tuple(tag for tag, kinds in rules.tags.items() if kinds & hidden),
    )


def working_departments(user: DeskUser, departments: Iterable[str]) -> list[str]:
    """The departments, in the town's order, in which the user has something to do."""
    return [slug for slug in departments if any(_is_about(grant, slug) for grant in user.grants)]


def hidden_by_department(
    user: DeskUser, rules: ConfidentialCases, departments: Iterable[str]
) -> Mapping[HiddenCases, Sequence[str]]:
    """What is left out of the lists of several departments, with those of which it is the same."""
    found: dict[HiddenCases, list[str]] = {}
    for slug in departments:
        found.setdefault(hidden_cases(user, rules, slug), []).append(slug)
    return found
