"""Adds `parvis rules` and `parvis router` to the command line."""

from parvis.common.cli.subparsers import Commands
from parvis.router.commands import router, rules


def register(commands: Commands) -> None:
    """Add `parvis rules` and `parvis router`."""
    rules.register(commands)
    router.register(commands)
