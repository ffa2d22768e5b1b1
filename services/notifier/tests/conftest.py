"""The town of the tests: the example configuration, and replies to its citizens."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from parvis.common.contact import ContactPoint, ConversationId, contact_id, reference_of
from parvis.common.directory import Directory, Templates, load_directory, load_templates
from parvis.common.reply import PersonalReply, ReplyRequested, reply_id
from parvis.common.testing import A_KEY, AN_INSTANT
from parvis.notifier.decide import Addressing, own_addresses
from parvis.notifier.render import Renderer

CONFIG = Path(__file__).parents[3] / "config" / "example-town"

AskFor = Callable[..., ReplyRequested]


@pytest.fixture(scope="session")
def directory() -> Directory:
    return load_directory(CONFIG)


@pytest.fixture(scope="session")
def templates(directory: Directory) -> Templates:
    return load_templates(CONFIG, directory)


@pytest.fixture(scope="session")
def renderer(directory: Directory, templates: Templates) -> Renderer:
    return Renderer(directory, templates, A_KEY)


@pytest.fixture(scope="session")
def addressing(directory: Directory) -> Addressing:
    return Addressing(own_addresses(directory), A_KEY)


@pytest.fixture(scope="session")
def ask_for() -> AskFor:
    """Makes a reply as the router or the desk asks for it; any member can be changed by name."""
    return _reply


def _reply(
    key: str = "1",
    *,
    kind: str = "answer",
    channel: str = "sms",
    points: tuple[ContactPoint, ...] = (ContactPoint(kind="phone", value="+33639980001"),),
    conversation: str | None = None,
    personal: dict[str, Any] | None = None,
    **changes: Any,
) -> ReplyRequested:
    contact = contact_id(channel, "+33536490100", conversation or key)
    values: dict[str, Any] = {
        "reply_id": reply_id(kind, key),
        "conversation_id": ConversationId(contact),
        "reference": reference_of(contact),
        "kind": kind,
        "department": "etat-civil",
        "channel_of_contact": channel,
        "template": kind if kind in {"registration", "receipt", "answer"} else None,
        "language": "fr",
        "legal": True,
        "send_at": AN_INSTANT - timedelta(minutes=1),
        "requested_at": AN_INSTANT - timedelta(minutes=1),
        "requested_by": "router",
        "personal": PersonalReply.model_validate(
            {"contact_points": points, "text": "Votre acte est prêt." if kind == "answer" else "", **(personal or {})}
        ),
    }
    return ReplyRequested(**(values | changes))
