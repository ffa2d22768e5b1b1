"""Adds `parvis mail`, which prints the town's addresses as a Postfix map."""

import argparse
from pathlib import Path

from parvis.common.cli.argparse_types import Commands
from parvis.common.town.loading import load_town_config
from parvis.ingest_email.decide.recipients import list_town_addresses


def register(commands: Commands) -> None:
    command = commands.add_parser("mail", help="what the town's own mail server must know")
    actions = command.add_subparsers(metavar="recipients", required=True)
    recipients = actions.add_parser("recipients", help="print the town's addresses as a texthash map for Postfix")
    recipients.add_argument("folder", type=Path, metavar="DIR")
    recipients.set_defaults(run=_recipients)


def _recipients(arguments: argparse.Namespace) -> int:
    town_config = load_town_config(arguments.folder)
    print(
        f"# The addresses of {town_config.town.mail_domain}: `parvis mail recipients`, again after every change of the configuration."
    )
    print("# Postfix finds address+tag by address where recipient_delimiter is +.")
    for address in sorted(list_town_addresses(town_config)):
        print(f"{address} OK")
    return 0
