"""`parvis`: what an operator types. Services add their own sub-commands by the entry-point group `parvis.commands`."""

import argparse
import sys
from collections.abc import Callable
from importlib.metadata import entry_points

from parvis.common import logs
from parvis.common.cli import config, dead_letters, migrations, reference, topics, trace
from parvis.common.cli.commands import Commands
from parvis.common.errors import EXIT_MISCONFIGURED, Misconfigured, ParvisError

Register = Callable[[Commands], None]


def main() -> None:
    """Parse, run, and turn our errors into one sentence and an exit code: 78 misconfigured, 1 anything else."""
    arguments = parser().parse_args()
    logs.configure("parvis", level="warning", format="console")
    try:
        sys.exit(arguments.run(arguments) or 0)
    except Misconfigured as error:
        sys.exit(_say(f"misconfigured: {error}", EXIT_MISCONFIGURED))
    except ParvisError as error:
        sys.exit(_say(str(error), 1))
    except KeyboardInterrupt:
        sys.exit(130)


def parser() -> argparse.ArgumentParser:
    """All commands, ours and those of the members that are installed."""
    top = argparse.ArgumentParser(prog="parvis", description="The town hall's own commands.")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (migrations, topics, trace, dead_letters, config, reference):
        module.register(commands)
    for point in sorted(entry_points(group="parvis.commands"), key=lambda p: p.name):
        register: Register = point.load()
        register(commands)
    return top


def _say(sentence: str, code: int) -> int:
    sys.stderr.write(f"parvis: {sentence}\n")
    return code
