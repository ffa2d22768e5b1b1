"""Adds `parvis desk` to the command line."""

from parvis.common.cli.subparsers import Commands
from parvis.desk.commands import reindex


def register(commands: Commands) -> None:
    """Add `parvis desk`."""
    command = commands.add_parser("desk", help="rebuild the desk's search index")
    actions = command.add_subparsers(metavar="ACTION", required=True)
    reindex.register(actions)
