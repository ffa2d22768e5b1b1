"""Collects what a message says outside its Body: places, answers of flows, buttons. Pure; no I/O."""

import json
from collections.abc import Iterator
from typing import Any

from parvis.ingest_sms.parse.webhook_form import InboundMessage

_LONGEST_JSON, _DEEPEST = 64_000, 6
_FIELDS = ("Label", "Address", "ButtonText", "ListTitle", "ListDescription", "ReferralHeadline")
# What Twilio documents as JSON.
_DOCUMENTS = ("InteractiveData", "FlowData", "Contacts")
_WORDLESS_KEYS = frozenset({"flow_token", "type", "id", "version"})


def find_words(message: InboundMessage) -> str:
    """The Body, and below it what else the sender said: one line each."""
    said = [message.value("Body"), *(message.value(name) for name in _FIELDS)]
    latitude, longitude = message.value("Latitude"), message.value("Longitude")
    said += [f"{latitude}, {longitude}"] if latitude and longitude else []
    said += [line for name in _DOCUMENTS for line in _lines(message.value(name))]
    return "\n".join(dict.fromkeys(filter(str.strip, said))) or message.value("Body")


def _lines(document: str) -> list[str]:
    """The answers of a JSON document as `name : value`; the document itself when it is none."""
    try:
        return list(_answers("", json.loads(document[:_LONGEST_JSON]), 0)) if document else []
    except (ValueError, RecursionError):
        return [document]


def _answers(name: str, value: Any, depth: int) -> Iterator[str]:
    if isinstance(value, (dict, list)):
        items = value.items() if isinstance(value, dict) else [(name, each) for each in value]
        for key, each in items if depth < _DEEPEST else ():
            if key not in _WORDLESS_KEYS:
                yield from _answers(str(key), each, depth + 1)
    elif value not in (None, ""):
        yield f"{name} : {value}" if name else str(value)
