"""Tests that the workload is the same for every contender."""

from collections import Counter
from pathlib import Path

from parvis.common.bus.cloudevents import encode_event
from parvis.common.contract.contact import ContactReceived
from parvis.common.town.loading import load_town_config
from parvis.router.decide.department import decide_department
from parvis.router.fetch.rules_files import load_rules
from tests.bench.router import work
from tests.bench.router.peers import rules as plain

A_FEW = 1500


def test_the_same_seed_gives_the_same_contacts():
    assert list(work.contacts(20)) == list(work.contacts(20))
    assert next(work.contacts(1, seed=8)) != next(work.contacts(1))


def test_every_contact_is_valid_and_about_as_large_as_in_route_12():
    values = [encode_event(sent.contact) for sent in work.contacts(200)]

    assert all(ContactReceived.model_validate_json(value) for value in values)
    assert 1200 < min(map(len, values)) <= max(map(len, values)) < 2100


def test_the_towns_rules_decide_like_the_peers_rules(tmp_path: Path):
    town = work.write_town(tmp_path / "town")
    town_config = load_town_config(town)
    rules = load_rules(town, town_config)
    decided: Counter[str] = Counter()
    for contact in (sent.contact for sent in work.contacts(A_FEW)):
        personal = contact.personal
        department, rule = plain.decide(contact.channel, contact.language, personal.subject, personal.text)
        decision = decide_department(contact, rules, town_config)
        assert (decision.department, decision.rule) == (department, rule)
        decided[department] += 1

    assert decided.keys() == set(work.DEPARTMENTS)


def test_a_router_loads_a_town_with_a_thousand_rules(tmp_path: Path):
    town = work.write_town(tmp_path / "town", rules=1000)

    assert len(load_rules(town, load_town_config(town)).rules) == 1000
