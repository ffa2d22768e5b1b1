"""What the simulator promises on paper: Twilio's published schema, and its own README."""

import json
import os
from pathlib import Path

import pytest

from parvis.simulators.mail.recipients import MAGIC as MAGIC_RECIPIENTS
from parvis.simulators.settings import Settings
from parvis.simulators.twilio.magic_numbers import BLOCK, MAGIC, REFUSALS
from parvis.simulators.twilio.messages import TwilioMessage

from .conftest import ACCOUNT_SID, CITIZEN, TOWN_NUMBER

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SAMPLES = os.environ.get("PARVIS_SAMPLES")  # noqa: TID251 (where the samples are is the tester's to say)


@pytest.mark.skipif(SAMPLES is None, reason="PARVIS_SAMPLES names no folder of samples")
def test_a_message_has_the_members_of_the_published_schema_and_their_types() -> None:
    document = json.loads((Path(SAMPLES or "") / "twilio" / "openapi_messages_subset.json").read_text(encoding="utf-8"))
    schemas = document["components"]["schemas"]
    published = schemas["api.v2010.account.message"]["properties"]
    resource = TwilioMessage("SM" + "a" * 32, "inbound", CITIZEN, TOWN_NUMBER, "x", "received").resource(ACCOUNT_SID)
    assert resource.keys() == published.keys()
    types = {"string": str, "integer": int, "object": dict}
    for name, value in resource.items():
        if "type" in published[name]:
            assert value is None or isinstance(value, types[published[name]["type"]]), name
    assert resource["status"] in schemas["message_enum_status"]["enum"]
    assert resource["direction"] in schemas["message_enum_direction"]["enum"]


def test_the_readme_names_every_magic_number_address_code_and_setting() -> None:
    rows = [f"| `{BLOCK}{behaviour.number_ending}` | `{behaviour.name}` |" for behaviour in MAGIC]
    names = [f"`{name}`" for magic in MAGIC_RECIPIENTS for name in magic.names]
    codes = [str(code) for code in REFUSALS]
    settings = [f"`{name.upper()}`" for name in Settings.model_fields]
    assert [word for word in (*rows, *names, *codes, *settings) if word not in README] == []
