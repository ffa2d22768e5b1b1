"""Adds `parvis up`, `parvis demo` and `parvis doctor` to the command line."""

import argparse
import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from parvis.common.cli.subparsers import Commands
from parvis.common.contract.errors import Misconfigured

if TYPE_CHECKING:
    from parvis.local.console import Console
    from parvis.local.stack import Stack


def register(commands: Commands) -> None:
    up = commands.add_parser("up", help="start Kafka, PostgreSQL and all services on this machine; Ctrl-C stops them")
    up.add_argument(
        "--outside", action="store_true", help="also start the simulated Twilio, mail provider and letter tray"
    )
    up.add_argument(
        "--only", metavar="SERVICE", nargs="*", help="these services; without a name Kafka and PostgreSQL alone"
    )
    up.set_defaults(run=_up)
    demo = commands.add_parser("demo", help="the stack, the simulated outside world, and five citizens who write")
    demo.add_argument("--once", action="store_true", help="stop afterwards; exit 0 only if every reply was delivered")
    demo.set_defaults(run=_demo)
    doctor = commands.add_parser(
        "doctor", help="say what this machine lacks to run a town hall; exit 1 when something prevents it"
    )
    doctor.set_defaults(run=_doctor)


def _up(arguments: argparse.Namespace) -> int:
    # Java's wheel, psutil and the rest are not for `parvis --help`.
    from parvis.local import stack_environment
    from parvis.local.console import Console

    services = _selected_services(arguments.only, stack_environment.installed_services())
    console = Console([*services, "outside", "topics", "migrate"])

    def stay(stack: "Stack", stopping: threading.Event) -> int:
        console.plain("ready")
        stopping.wait()
        if stack.failure:
            raise Misconfigured(stack.failure.sentence)
        return 0

    return _with_stack(console, stay, services=services, outside=arguments.outside, otherwise=0)


def _demo(arguments: argparse.Namespace) -> int:
    from parvis.local import stack_environment
    from parvis.local.console import QuietConsole
    from parvis.local.demo import report
    from parvis.local.demo.scenario import DemoCast, run_until_stopped

    var = stack_environment.var_folder(stack_environment.current_environment())
    console = QuietConsole(var / "log")
    console.print_line("starting Kafka, PostgreSQL, the services and the outside world")

    def perform(stack: "Stack", stopping: threading.Event) -> int:
        rows = [
            journey.row() for journey in asyncio.run(run_until_stopped(stopping, stack, console.print_line, DemoCast()))
        ]
        report.write_journeys(rows, var / "demo" / "journey.json")
        console.plain(f"\n{report.render_table(rows)}\n")
        if not arguments.once:
            console.plain(report.render_addresses(stack))
            stopping.wait()
        return 0 if all(row["status"] == "delivered" for row in rows) else 1

    return _with_stack(console, perform, services=None, outside=True, otherwise=1 if arguments.once else 0)


def _with_stack(
    console: "Console",
    work: Callable[["Stack", threading.Event], int],
    *,
    services: list[str] | None,
    outside: bool,
    otherwise: int,
) -> int:
    """Start a stack as the environment wishes, work with it, end it; `otherwise`, when somebody stops it before."""
    from parvis.local import stack_environment
    from parvis.local.stack import Stack
    from parvis.local.waiting import StackStopped

    given = stack_environment.current_environment()
    given.setdefault("PARVIS_LOG_FORMAT", "console")
    stopping = threading.Event()
    running: list[Stack] = []
    _stop_on_signals(stopping, running)
    try:
        with Stack.start(
            stack_environment.var_folder(given),
            services=services,
            ports="fixed" if stack_environment.wants_fixed_ports(given) else "free",
            outside=outside,
            fsync=True,
            environment=given,
            console=console,
            keep=True,
            stopping=stopping,
            started=running.append,
        ) as stack:
            return work(stack, stopping)
    except StackStopped:
        console.print_line("stopped before everything was done")
        return otherwise


def _selected_services(only: list[str] | None, installed: list[str]) -> list[str]:
    if only is None:
        return installed
    unknown = sorted(set(only) - set(installed))
    if unknown:
        raise Misconfigured(
            f"no such service: {', '.join(unknown)}", mend=f"there are: {', '.join(installed) or 'none'}"
        )
    return [name for name in installed if name in only]


def _stop_on_signals(stopping: threading.Event, running: list["Stack"]) -> None:
    """The first asks, the second insists. Set, not inherited: a shell starts what it puts in the background deaf to SIGINT."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            for stack in running:
                stack.kill_all()
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup asked us not to mind
        signal.signal(signal.SIGHUP, stop)


def _doctor(_arguments: argparse.Namespace) -> int:
    from parvis.local import doctor, stack_environment

    checks = doctor.diagnose(stack_environment.current_environment())
    for check in checks:
        print(doctor.render_line(check))
    return 1 if any(check.is_fatal for check in checks) else 0
