"""Implements `parvis rules check|explain|replay`: tests routing rules before they go live."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from parvis.common.bus.connection import KafkaConnection
from parvis.common.cli.argparse_types import Commands, day_count, mail_address
from parvis.common.contract import topics
from parvis.common.contract.channels import channels
from parvis.common.contract.contact import (
    ClaimCheck,
    ContactPersonalData,
    ContactPoint,
    ContactReceived,
    Verification,
    make_contact_id,
)
from parvis.common.contract.errors import Rejected
from parvis.common.contract.references import make_reference
from parvis.common.runtime.clock import now
from parvis.common.runtime.settings import SharedSettings, load_settings
from parvis.common.text.language import detect_language
from parvis.common.town.loading import load_town_config
from parvis.common.town.yaml_documents import closest_match
from parvis.router.commands.contact_topic_reader import read_contacts
from parvis.router.decide.department import decide_department
from parvis.router.decide.rule_comparison import compare_rules, explain_decision
from parvis.router.fetch.rules_files import check_rules, load_rules


def register(commands: Commands) -> None:
    command = commands.add_parser(
        "rules", help="check routing rules, explain a decision, replay contacts with changed rules"
    )
    actions = command.add_subparsers(metavar="check|explain|replay", required=True)

    checking = actions.add_parser(
        "check", help="read and compile the rules; on an error, exit with 78 and name file, line and correction"
    )
    checking.add_argument("folder", type=Path, metavar="DIR")
    checking.set_defaults(run=_check)

    explaining = actions.add_parser("explain", help="show how a text would be routed, and why")
    explaining.add_argument("folder", type=Path, metavar="DIR")
    explaining.add_argument("text", nargs="?", help="the citizen's text (default: standard input)")
    explaining.add_argument(
        "--channel", default="web", choices=[row.name for row in channels()], help="how it was sent (default: web)"
    )
    explaining.add_argument("--to", default="", help="our number, mailbox or form that it was sent to")
    explaining.add_argument("--procedure", help="the procedure of the form, if it came by form")
    explaining.add_argument(
        "--from", dest="sender", type=mail_address, metavar="MAIL", help="the sender's mail address"
    )
    explaining.add_argument("--language", default="fr", help="language of the explanation (default: fr)")
    explaining.set_defaults(run=_explain)

    replaying = actions.add_parser("replay", help="show which past contacts changed rules would route differently")
    replaying.add_argument("folder", type=Path, metavar="DIR", help="the changed configuration")
    replaying.add_argument(
        "--days", type=day_count, default=31, help="how many days of contacts to replay (default: 31)"
    )
    replaying.set_defaults(run=_replay)


def _check(arguments: argparse.Namespace) -> int:
    for line in check_rules(arguments.folder, load_town_config(arguments.folder)):
        print(line)
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    town_config = load_town_config(arguments.folder)
    if arguments.procedure and arguments.procedure not in town_config.procedures:
        mend = closest_match(arguments.procedure, town_config.procedures)
        raise Rejected(f"unknown procedure {arguments.procedure!r}. {mend}")
    if arguments.language not in town_config.town.languages:
        raise Rejected(
            f"the town has no texts in {arguments.language!r}, only in {', '.join(town_config.town.languages)}"
        )
    text = arguments.text if arguments.text is not None else sys.stdin.read()
    decision = decide_department(
        _make_contact(arguments, text),
        load_rules(arguments.folder, town_config),
        town_config,
        language=detect_language(text),
    )
    for line in explain_decision(decision, arguments.language):
        print(line)
    return 0


def _make_contact(arguments: argparse.Namespace, text: str) -> ContactReceived:
    contact_id, at = make_contact_id(arguments.channel, arguments.to, text), now()
    point = ContactPoint(kind="email", value=arguments.sender) if arguments.sender else None
    return ContactReceived(
        contact_id=contact_id,
        reference=make_reference(contact_id),
        channel=arguments.channel,
        received_at=at,
        recorded_at=at,
        to=arguments.to,
        procedure=arguments.procedure,
        sender=Verification(level="none"),
        original=ClaimCheck(blob=f"{contact_id}/none", sha256="0" * 64, size_bytes=0, media_type="text/plain"),
        personal=ContactPersonalData.model_validate({"from": point, "text": text}),
    )


def _replay(arguments: argparse.Namespace) -> int:
    town = load_settings(SharedSettings)
    town_config = load_town_config(town.config_dir)
    live, changed = load_rules(town.config_dir, town_config), load_rules(arguments.folder, town_config)
    if live.version == changed.version:
        print(f"nothing to compare: {arguments.folder} contains the live rules, version {live.version}")
        return 0
    contacts = asyncio.run(_read_contacts(town, arguments.days))
    for line in compare_rules(contacts, live, changed, town_config).lines():
        print(line)
    return 0


async def _read_contacts(town: SharedSettings, days: int) -> Sequence[ContactReceived]:
    """The contacts of the last `days` days that Kafka still holds, each once."""
    since = now() - timedelta(days=days)
    contacts: dict[str, ContactReceived] = {}
    topic = topics.CONTACT_RECEIVED.full_name(town.topic_prefix)
    async for contact in read_contacts(KafkaConnection.from_settings(town), topic):
        if contact.received_at >= since:
            contacts.setdefault(contact.contact_id, contact)
    return list(contacts.values())
