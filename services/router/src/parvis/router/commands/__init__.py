"""Adds `parvis rules` and `parvis router` to the command line."""

from parvis.common.cli.argparse_types import Commands
from parvis.router.commands import classifier_commands, rules


def register(commands: Commands) -> None:
    """Add `parvis rules` and `parvis router`."""
    rules.register(commands)
    classifier_commands.register(commands)
