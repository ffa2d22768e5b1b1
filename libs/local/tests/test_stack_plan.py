"""Facts about the plan: ports, folders and what each process is told."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import pytest

from parvis.common.contract.errors import Misconfigured
from parvis.local import secrets, stack_plan

SECRETS = secrets.LocalSecrets(**secrets.generate_secrets())
VAR = Path("/srv/town/var")
ALL = [name for name in stack_plan.FIXED if "." not in name and name not in ("kafka", "postgres")]


def a_plan(
    *services: str, given: Mapping[str, str] | None = None, free: bool = False, outside: bool = False
) -> stack_plan.StackPlan:
    return stack_plan.plan_stack(
        var=VAR,
        services=services,
        given_environment=given or {},
        secrets=SECRETS,
        free_port=itertools.count(20000).__next__ if free else None,
        outside=outside,
        config_dir=Path("/srv/town/config"),
    )


def test_a_laptop_has_the_agreed_ports():
    plan = a_plan(*ALL, outside=True)
    assert plan.ports_to_open == stack_plan.FIXED
    assert plan.url("router") == "http://127.0.0.1:8110"
    assert plan.environment["PARVIS_ROUTER_PORT"] == "8110"
    assert plan.environment["PARVIS_INGEST_EMAIL_SMTP_PORT"] == "2525"
    assert plan.environment["PARVIS_INGEST_EMAIL_LMTP_PORT"] == "2424"


def test_free_ports_are_all_different_and_every_process_hears_of_them():
    plan = a_plan(*ALL, free=True)
    assert len(set(plan.ports.values())) == len(plan.ports)
    assert plan.environment["PARVIS_KAFKA_BOOTSTRAP"] == f"127.0.0.1:{plan.ports['kafka']}"
    assert f":{plan.ports['postgres']}/parvis" in plan.environment["PARVIS_DATABASE_URL"]
    assert plan.environment["PARVIS_NOTIFIER_TWILIO_BASE_URL"].endswith(str(plan.ports["outside.twilio"]))


def test_the_up_file_names_the_ports_of_the_mail_door():
    assert a_plan("ingest-email").ports_of("ingest-email") == {"port": 8102, "smtp_port": 2525, "lmtp_port": 2424}
    assert a_plan("router").ports_of("router") == {"port": 8110}


def test_what_is_set_is_honoured_and_the_rest_is_embedded():
    plan = a_plan("router", given={"PARVIS_KAFKA_BOOTSTRAP": "kafka.example:9092", "PARVIS_ROUTER_PORT": "9999"})
    assert (plan.embeds_kafka, plan.embeds_postgres) == (False, True)
    assert plan.environment["PARVIS_KAFKA_BOOTSTRAP"] == "kafka.example:9092"
    assert plan.ports["router"] == 9999
    assert "kafka" not in plan.ports_to_open


def test_an_empty_variable_counts_as_not_set():
    plan = a_plan("router", given={"PARVIS_DATABASE_URL": "", "PARVIS_ROUTER_PORT": ""})
    assert plan.embeds_postgres
    assert plan.environment["PARVIS_DATABASE_URL"].startswith("postgresql+asyncpg://parvis:")
    assert plan.ports["router"] == 8110


@pytest.mark.parametrize("wrong", ["http", "0", "65536", "-1", "81.1"])
def test_a_port_that_is_none_is_named(wrong: str):
    with pytest.raises(Misconfigured, match="PARVIS_ROUTER_PORT"):
        a_plan("router", given={"PARVIS_ROUTER_PORT": wrong})


def test_a_service_without_an_agreed_port_asks_for_one():
    with pytest.raises(Misconfigured, match="PARVIS_INGEST_FAX_PORT"):
        a_plan("ingest-fax")
    assert a_plan("ingest-fax", given={"PARVIS_INGEST_FAX_PORT": "8106"}).ports["ingest-fax"] == 8106


def test_the_outside_world_and_the_town_share_their_secrets():
    told = a_plan("notifier", "ingest-sms", outside=True).environment
    assert told["PARVIS_OUTSIDE_TWILIO_AUTH_TOKEN"] == told["PARVIS_INGEST_SMS_TWILIO_AUTH_TOKEN"]
    assert told["PARVIS_OUTSIDE_MAIL_PASSWORD"] == told["PARVIS_NOTIFIER_SMTP_PASSWORD"]
    assert told["PARVIS_OUTSIDE_LETTERS_DIR"] == told["PARVIS_NOTIFIER_LETTERS_DIR"] == str(VAR / "letters")


def test_a_service_sees_its_own_secrets_and_no_others():
    plan = a_plan("notifier", "ingest-sms", "desk", "router", outside=True)
    seen = {name: plan.environment_of(name) for name in (*plan.services, "outside")}
    assert {name for name, told in seen.items() if "PARVIS_DESK_API_TOKEN" in told} == {"desk"}
    assert {name for name, told in seen.items() if "PARVIS_NOTIFIER_SMTP_PASSWORD" in told} == {"notifier"}
    assert {name for name, told in seen.items() if "PARVIS_INGEST_SMS_TWILIO_AUTH_TOKEN" in told} == {"ingest-sms"}
    assert {name for name, told in seen.items() if "PARVIS_OUTSIDE_MAIL_PASSWORD" in told} == {"outside"}
    assert {name for name, told in seen.items() if "PARVIS_SECRET_KEY" in told} == set(plan.services)
    assert all("PARVIS_VAR" in told for told in seen.values())


@pytest.mark.parametrize("given", [{}, {"PARVIS_KAFKA_BOOTSTRAP": "kafka.example:9092"}])
def test_every_service_is_told_where_the_brokers_are(given: dict[str, str]):
    plan = a_plan("notifier", "ingest-sms", given=given)
    for service in plan.services:
        assert plan.environment_of(service)["PARVIS_KAFKA_BOOTSTRAP"] == plan.environment["PARVIS_KAFKA_BOOTSTRAP"]


def test_without_the_outside_world_its_ports_are_nobodys():
    assert not any(name.startswith("outside") for name in a_plan("router").ports_to_open)


def test_secrets_do_not_show_in_what_is_printed():
    assert SECRETS.secret_key not in repr(SECRETS)
