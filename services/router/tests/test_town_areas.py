"""Facts about places in texts: the area they lie in; a person decides if it is ambiguous."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.errors import Misconfigured
from parvis.common.testing import a_contact
from parvis.common.town.loading import load_town_config
from parvis.router.decide.department import decide_department
from parvis.router.fetch.rules_files import load_rules
from parvis.router.rules.term_patterns import fold_for_matching

EXAMPLE = Path(__file__).parents[3] / "config" / "example-town"
TOWN_CONFIG = load_town_config(EXAMPLE)
RULES = load_rules(EXAMPLE, TOWN_CONFIG)


@pytest.mark.parametrize(
    ("text", "areas"),
    [
        ("Le lampadaire de l'allée des marronniers", ("parc-des-sports",)),
        ("devant le 12 avenue du Stade", ("parc-des-sports",)),
        ("devant le 12 bis, AVENUE DU STADE", ("parc-des-sports",)),
        ("au 40 avenue du Stade", ("faubourg",)),
        ("avenue du Stade, au 40 avenue du stade", ("faubourg",)),
        ("avenue du Stade", ("parc-des-sports", "faubourg")),
        ("à l'angle de l'allée des Marronniers et de la rue du Lavoir", ("parc-des-sports", "faubourg")),
        ("au 500 avenue du Stade", ()),
        ("rue des Lilas", ()),
        ("geo:45.1000,1.2030", ("parc-des-sports",)),
        ("geo:45.1000,1.2070", ()),
        ("geo:999,999 geo:-0,-0", ()),
    ],
)
def test_a_street_or_point_in_a_text_gives_its_area(text: str, areas: tuple[str, ...]) -> None:
    assert RULES.service_areas.find_areas(text, fold_for_matching(text)) == areas


@given(st.text())
def test_any_text_lies_somewhere_or_nowhere(text: str) -> None:
    repeated = f"{text}\n12 {text} avenue du Stade"
    assert set(RULES.service_areas.find_areas(repeated, fold_for_matching(repeated))) <= {"parc-des-sports", "faubourg"}


@pytest.mark.parametrize(
    ("text", "department", "rule"),
    [
        ("Lampadaire éteint allée des Marronniers", "culture-sports", "lamps-in-the-park"),
        ("Lampadaire éteint au 45 avenue du Stade", "voirie", "street-lamp"),
        ("Lampadaire éteint rue des Lilas", "voirie", "street-lamp"),
        ("Lampadaire éteint avenue du Stade", "triage", "place"),
    ],
)
def test_place_and_subject_decide_and_an_ambiguous_place_goes_to_triage(text: str, department: str, rule: str) -> None:
    decision = decide_department(a_contact(text=text), RULES, TOWN_CONFIG)
    assert (decision.department, decision.rule) == (department, rule)
    if rule == "place":
        assert {other.department for other in decision.runners_up} == {"culture-sports", "voirie"}


def test_an_unknown_area_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "territory.yaml").write_text("areas:\n  - {id: north, name: {fr: N, en: N}, streets: [rue du Nord]}\n")
    (tmp_path / "rules.yaml").write_text(
        "rules:\n  - id: one\n    when: {area: nort}\n    then: {department: voirie}\n"
    )
    with pytest.raises(Misconfigured, match=r"rules\.yaml:3.*unknown area 'nort'.*north"):
        load_rules(tmp_path, TOWN_CONFIG)


@pytest.mark.parametrize(
    "area",
    [
        "{id: a, name: {fr: A, en: A}}",
        "{id: a, name: {fr: A, en: A}, outline: [[1, 2], [3, 4]]}",
        "{id: a, name: {fr: A, en: A}, streets: ['---']}",
        "{id: a, name: {fr: A, en: A}, streets: [{street: rue x, numbers: 5}]}",
    ],
)
def test_an_area_that_lies_nowhere_is_refused(tmp_path: Path, area: str) -> None:
    (tmp_path / "territory.yaml").write_text(f"areas:\n  - {area}\n")
    (tmp_path / "rules.yaml").write_text("rules: []\n")
    with pytest.raises(Misconfigured, match=r"territory\.yaml:2"):
        load_rules(tmp_path, TOWN_CONFIG)
