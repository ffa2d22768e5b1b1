"""Tests who may do what: each role with each action, in its own department and another, on open and confidential cases."""

import itertools

import pytest

from parvis.desk.decide.access_rights import ROLE_ACTIONS, hidden_cases, may, scope_of
from parvis.desk.models.accounts import (
    ACTIONS,
    CONFIDENTIALITIES,
    ROLES,
    Action,
    CaseAccessFacts,
    ConfidentialCases,
    DeskUser,
    Role,
    RoleGrant,
)

WORK = {
    "queue.read", "case.read", "case.change", "case.reply", "case.transfer", "file.read", "contact.register", "break-glass.open",
    "deputy.name", "town.read",
}  # fmt: skip
EXPECTED: dict[Role, set[str]] = {
    "agent": WORK,
    "supervisor": WORK | {"absence.note", "break-glass.review", "identity.approve", "queue.export"},
    "counter": {"contact.register", "town.read"},
    "auditor": {"audit.read"},
    "administrator": {"account.read", "account.grant", "account.revoke"},
}
OPEN, CASES = frozenset[str](), {"case.read", "case.change", "case.reply", "case.transfer", "file.read"}


def user(*grants: RoleGrant, opened: frozenset[str] = frozenset()) -> DeskUser:
    return DeskUser("account", "Dominique Exemple", grants, opened)


@pytest.mark.parametrize(("role", "action"), list(itertools.product(ROLES, ACTIONS)))
def test_a_role_does_in_its_department_what_the_table_says_and_nothing_elsewhere(role: Role, action: Action) -> None:
    somebody = user(RoleGrant(role, "voirie"))
    is_expected = action in EXPECTED[role] or action == "session.own"

    assert may(somebody, action, CaseAccessFacts("voirie", OPEN, "case")) == is_expected
    assert may(somebody, action, CaseAccessFacts("etat-civil", OPEN, "case")) == (action == "session.own")
    assert may(somebody, action) == (is_expected and action not in CASES)


@pytest.mark.parametrize("role", ROLES)
def test_a_confidential_case_needs_its_kind_whatever_the_role(role: Role) -> None:
    for kind in CONFIDENTIALITIES:
        case = CaseAccessFacts("voirie", frozenset({kind}), "case")
        cleared = user(RoleGrant(role, "voirie", frozenset({kind})))
        others = user(RoleGrant(role, "*", frozenset(CONFIDENTIALITIES) - {kind}))
        for action in ROLE_ACTIONS[role]:
            assert may(cleared, action, case)
            assert not may(others, action, case)


def test_a_case_of_two_kinds_needs_both() -> None:
    case = CaseAccessFacts("voirie", frozenset({"social", "minors"}), "case")

    assert not may(user(RoleGrant("agent", "voirie", frozenset({"social"}))), "case.read", case)
    both = user(RoleGrant("agent", "voirie", frozenset({"social"})), RoleGrant("agent", "*", frozenset({"minors"})))
    assert may(both, "case.read", case)


def test_a_case_opened_with_a_reason_is_read_and_no_more() -> None:
    case = CaseAccessFacts("social-ccas", frozenset({"social"}), "case")
    somebody = user(RoleGrant("agent", "voirie"), opened=frozenset({"case"}))

    assert {action for action in ACTIONS if may(somebody, action, case)} == {"case.read", "file.read", "session.own"}
    assert not may(somebody, "case.read", CaseAccessFacts("social-ccas", frozenset({"social"}), "another"))


def test_without_a_grant_nobody_does_anything() -> None:
    assert {action for action in ACTIONS if may(user(), action) or may(user(), action, CaseAccessFacts("voirie"))} == {
        "session.own"
    }


RULES = ConfidentialCases(
    {"social-ccas": frozenset({"social"})}, {"school-meals": frozenset({"minors"})}, {"p": frozenset({"police"})}
)


def test_a_case_is_confidential_by_its_department_procedure_or_tag() -> None:
    assert scope_of(RULES, "social-ccas", "school-meals", ["p"]).confidential == {"social", "minors", "police"}
    assert scope_of(RULES, "voirie", None, ["q"]).confidential == set()


def test_a_queue_hides_what_its_reader_may_not_open() -> None:
    hidden = hidden_cases(user(RoleGrant("agent", "*", frozenset({"police"}))), RULES, "social-ccas")

    assert (hidden.everything, hidden.procedures, hidden.tags) == (True, ("school-meals",), ())
    assert not hidden_cases(
        user(RoleGrant("agent", "*", frozenset(CONFIDENTIALITIES))), RULES, "social-ccas"
    ).everything
