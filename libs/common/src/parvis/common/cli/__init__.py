"""Runs `parvis`, the operator's command; services add sub-commands by the entry-point group `parvis.commands`."""

import argparse
import importlib
import sys
from collections.abc import Callable
from importlib.metadata import entry_points

from parvis.common.cli.argparse_types import Commands
from parvis.common.cli.running_town import use_running_town
from parvis.common.contract.errors import EXIT_MISCONFIGURED, Misconfigured, ParvisError
from parvis.common.runtime import logs

Register = Callable[[Commands], None]

# The commands of this package, by module.
_COMMAND_MODULES = {
    "migrate": "migrations", "topics": "topics", "trace": "trace", "dead-letters": "dead_letters", "config": "config",
    "settings": "config", "reference": "reference",
}  # fmt: skip


def main() -> None:
    """Run a command. An error becomes one line on stderr and an exit code.

    Gives:  2 for arguments that cannot be used, files that cannot be read or written included; 78 for Misconfigured, 1 for our other errors.
    """
    if any("\udc80" <= character <= "\udcff" for argument in sys.argv for character in argument):
        sys.exit(_print_error("an argument is not UTF-8", 2))
    arguments = parser(sys.argv[1] if len(sys.argv) > 1 else "").parse_args()
    logs.configure("parvis", level="warning", format="console")
    try:
        if not getattr(arguments, "starts_town", False):
            use_running_town()
        sys.exit(arguments.run(arguments) or 0)
    except Misconfigured as error:
        sys.exit(_print_error(f"misconfigured: {error}", EXIT_MISCONFIGURED))
    except ParvisError as error:
        sys.exit(_print_error(str(error), 1))
    except OSError as error:
        if error.filename is None:  # no file that an argument or a setting named: a fault of ours
            raise
        sys.exit(_print_error(f"{error.filename}: {error.strerror}", 2))
    except KeyboardInterrupt:
        sys.exit(130)


def parser(command: str = "") -> argparse.ArgumentParser:
    """All commands, ours and those of the members that are installed; for one of ours that one alone, and nothing else is imported."""
    top = argparse.ArgumentParser(prog="parvis", description="The town hall's own commands.")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (
        [_COMMAND_MODULES[command]] if command in _COMMAND_MODULES else dict.fromkeys(_COMMAND_MODULES.values())
    ):
        importlib.import_module(f"parvis.common.cli.{module}").register(commands)
    if command in _COMMAND_MODULES:
        return top
    for point in sorted(entry_points(group="parvis.commands"), key=lambda p: p.name):
        register: Register = point.load()
        register(commands)
    return top


def _print_error(sentence: str, code: int) -> int:
    sys.stderr.write(f"parvis: {sentence}\n")
    return code
