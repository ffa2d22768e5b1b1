"""Adds `parvis notifier`: what an operator asks of the ledger and of templates, and does after a restored backup."""

from parvis.common.cli.subparsers import Commands
from parvis.notifier.commands import ledger, templates
from parvis.notifier.commands.templates import check

__all__ = ["check", "register"]


def register(commands: Commands) -> None:
    command = commands.add_parser("notifier", help="the ledger of replies, after a backup too; previews of templates")
    actions = command.add_subparsers(metavar="ACTION", required=True)
    ledger.register(actions)
    templates.register(actions)
