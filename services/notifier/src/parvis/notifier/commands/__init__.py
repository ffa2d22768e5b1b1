"""Adds `parvis notifier`: queries of the ledger, its rebuild after a restored backup, and previews of templates."""

from parvis.common.cli.argparse_types import Commands
from parvis.notifier.commands import ledger, mark_posted, templates
from parvis.notifier.commands.templates import check

__all__ = ["check", "register"]


def register(commands: Commands) -> None:
    command = commands.add_parser("notifier", help="query or rebuild the ledger of replies; preview templates")
    actions = command.add_subparsers(metavar="ACTION", required=True)
    ledger.register(actions)
    mark_posted.register(actions)
    templates.register(actions)
