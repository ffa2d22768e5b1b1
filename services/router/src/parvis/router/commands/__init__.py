"""What the router adds to the `parvis` command."""

from parvis.common.cli.commands import Commands
from parvis.router.commands import rules


def register(commands: Commands) -> None:
    """Add `parvis rules`."""
    rules.register(commands)
