"""Tests that the desk's API conforms to its OpenAPI document, on cases that exist, with all checks of schemathesis."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from parvis.common.bus.cloudevents import build_record
from parvis.common.bus.producer import Producer
from parvis.common.contract import topics
from parvis.common.contract.routing.decisions import ContactRouted, Routing, make_conversation_id
from parvis.common.runtime.clock import now
from parvis.common.testing import a_contact
from parvis.local.stack import Stack
from parvis.local.towns_on_shared_brokers import TownsOnSharedBrokers
from tests.patience import PATIENCE_S

TOKEN = "a token for tests only"
DEPARTMENT = "voirie"
CALLS_AN_OPERATION = 5
# Most calls name a case and a department that exist, so that they reach what stands behind the checks.
KNOWN = """
[auth.openapi.HTTPBearer]
bearer = "{token}"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "412"]
[[operations]]
include-name = "POST /cases/{{conversation_id}}/assign"
checks.positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "412", "422"]
[[operations]]
include-name = "GET /town"
parameters = {{ "query.after" = {{ dictionary = "town_cursors" }} }}
[dictionaries]
cursors = {{ values = {cursors} }}
town_cursors = {{ values = {town_cursors} }}
cases = {{ values = {cases} }}
contacts = {{ values = {contacts} }}
references = {{ values = {references} }}
departments = {{ values = ["voirie", "reception", "etat-civil"] }}
[parameters]
"path.conversation_id" = {{ dictionary = "cases", probability = 0.8 }}
"query.department" = {{ dictionary = "departments", probability = 0.8 }}
"query.after" = {{ dictionary = "cursors" }}
"body.department" = {{ dictionary = "departments", probability = 0.8 }}
"body.to_department" = {{ dictionary = "departments", probability = 0.8 }}
"body.contact_ids[*]" = {{ dictionary = "contacts", probability = 0.8 }}
"body.reference" = {{ dictionary = "references", probability = 0.5 }}
"""

pytestmark = pytest.mark.stack


def test_schemathesis_finds_nothing(tmp_path: Path, towns: TownsOnSharedBrokers) -> None:
    with towns.start(tmp_path / "town", services=["desk"], environment={"PARVIS_DESK_API_TOKEN": TOKEN}) as stack:
        known = asyncio.run(open_cases(stack))
        (tmp_path / "schemathesis.toml").write_text(KNOWN.format(token=TOKEN, **known))
        address = f"{stack.url('desk')}/api/v1/openapi.json"
        found = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--no-color", "run", address, "--checks", "all"),
                *("--seed", "1", "--max-examples", str(CALLS_AN_OPERATION), "--continue-on-failure"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S * 2,
            check=False,
        )

    assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]


async def open_cases(stack: Stack) -> dict[str, str]:
    """Open cases of two messages each; gives what calls may name, as lists in TOML."""
    producer = Producer(stack.kafka, service="test")
    topic = topics.department_topic(DEPARTMENT).full_name(stack.plan.topic_prefix)
    known: dict[str, list[str]] = {"cases": [], "contacts": [], "references": []}
    for number in range(12):
        first = a_contact(key=f"schema-{number}")
        conversation = make_conversation_id(first.contact_id, first.received_at)
        for sequence, contact in enumerate((first, a_contact(key=f"schema-{number}-again")), 1):
            routing = Routing(
                conversation_id=conversation, sequence=sequence, department=DEPARTMENT, reference=first.reference, rule="pothole",
                rules_version="v", confidence=1, reason={"fr": "Voirie.", "en": "Roads."}, received_at=contact.received_at, decided_at=now(),
            )  # fmt: skip
            event = ContactRouted(routing=routing, contact=contact)
            record = build_record(event, topic=topic, key=conversation, event_id=contact.contact_id, source="test")
            await producer.send(record)
            known["contacts"].append(contact.contact_id)
        known["cases"].append(conversation)
        known["references"].append(first.reference)
    await producer.stop()
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=stack.url("desk"), headers=headers, trust_env=False) as api:
        async with asyncio.timeout(PATIENCE_S):
            for case in known["cases"]:
                while (
                    len((await api.get(f"/api/v1/cases/{case}?department={DEPARTMENT}")).json().get("contacts", ())) < 2
                ):
                    await asyncio.sleep(0.1)
        first_page = await api.get(f"/api/v1/cases?department={DEPARTMENT}&limit=1")
        known["cursors"] = [first_page.json()["after"]]
        first_page = await api.get(f"/api/v1/town?department={DEPARTMENT}&limit=1")
        known["town_cursors"] = [first_page.json()["after"]]
    return {name: json.dumps(values) for name, values in known.items()}
