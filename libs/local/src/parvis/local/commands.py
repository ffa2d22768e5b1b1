"""Adds `parvis up`, `demo`, `doctor`, `backup` and `restore` to the command line."""

import argparse
import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from parvis.common.cli.argparse_types import Commands
from parvis.common.contract.errors import Misconfigured
from parvis.local import backup_commands
from parvis.local.service_manager import tell_service_manager

if TYPE_CHECKING:
    from parvis.local.console import Console
    from parvis.local.stack import Stack


def register(commands: Commands) -> None:
    up = commands.add_parser("up", help="start Kafka, PostgreSQL and all services on this machine; Ctrl-C stops them")
    up.add_argument(
        "--outside", action="store_true", help="also start the simulated Twilio, mail provider and print shop"
    )
    up.add_argument(
        "--only",
        metavar="SERVICE",
        nargs="*",
        help="start only these services; without a name, only Kafka and PostgreSQL",
    )
    up.add_argument(
        "--production",
        action="store_true",
        help="a real town: no example town, no simulators, no login for anybody; says what is missing",
    )
    up.set_defaults(run=_up, starts_town=True)
    demo = commands.add_parser(
        "demo", help="start the stack and the simulators, and let five citizens write to the town"
    )
    demo.add_argument("--once", action="store_true", help="stop when the replies are delivered; exit 1 if one was not")
    demo.set_defaults(run=_demo, starts_town=True)
    doctor = commands.add_parser("doctor", help="check whether this machine can run the stack; exit 1 if it cannot")
    doctor.set_defaults(run=_doctor, starts_town=True)
    backup_commands.register(commands)


def _up(arguments: argparse.Namespace) -> int:
    # Imported here: `parvis --help` does not load Java's wheel and psutil.
    from parvis.local import host_environment
    from parvis.local.console import Console

    services = _selected_services(arguments.only, host_environment.installed_services())
    console = Console([*services, "outside", "topics", "migrate"])

    def wait_until_stopped(stack: "Stack", stopping: threading.Event) -> int:
        console.plain("ready")
        tell_service_manager("READY=1")
        stopping.wait()
        tell_service_manager("STOPPING=1")
        if stack.failure:
            raise Misconfigured(stack.failure.sentence)
        return 0

    if arguments.production and arguments.outside:
        raise Misconfigured(
            "--production and --outside exclude each other", mend="a real town has a real outside world"
        )
    return _with_stack(
        console,
        wait_until_stopped,
        services=services,
        outside=arguments.outside,
        production=arguments.production,
        exit_code_if_stopped=0,
    )


def _demo(arguments: argparse.Namespace) -> int:
    from parvis.local import host_environment
    from parvis.local.console import QuietConsole
    from parvis.local.demo import report
    from parvis.local.demo.scenario import DemoCast, leave_open_cases, run_demo, run_until_stopped
    from parvis.local.demo.watch import WENT_OUT

    var = host_environment.var_folder(host_environment.current_environment())
    console = QuietConsole(var / "log")
    console.print_line("starting Kafka, PostgreSQL, the services and the simulators")

    def perform(stack: "Stack", stopping: threading.Event) -> int:
        cast = DemoCast()
        journeys = asyncio.run(run_until_stopped(stopping, run_demo(stack, console.print_line, cast)))
        rows = [journey.row() for journey in journeys]
        report.write_journeys(rows, var / "demo" / "journey.json")
        console.plain(f"\n{report.render_table(rows)}\n")
        if not arguments.once:
            console.print_line("Ten more people write, and nobody answers yet. A minute, please.")
            counts = asyncio.run(run_until_stopped(stopping, leave_open_cases(stack, cast)))
            console.plain(f"\n{report.render_addresses(stack)}")
            console.plain(report.render_next_steps(stack, counts, journeys[0].reference))
            stopping.wait()
        return 0 if all(row["status"] in WENT_OUT for row in rows) else 1

    return _with_stack(console, perform, services=None, outside=True, exit_code_if_stopped=1 if arguments.once else 0)


def _with_stack(
    console: "Console",
    work: Callable[["Stack", threading.Event], int],
    *,
    services: list[str] | None,
    outside: bool,
    production: bool = False,
    exit_code_if_stopped: int,
) -> int:
    """Start a stack as the environment sets it, run `work` on it, and stop it. Gives the exit code of `work`."""
    from parvis.local import host_environment
    from parvis.local.stack import Stack
    from parvis.local.waiting import StartInterrupted

    environment = host_environment.current_environment()
    environment.setdefault("PARVIS_LOG_FORMAT", "json" if production else "console")
    stopping = threading.Event()
    running: list[Stack] = []
    _stop_on_signals(stopping, running)
    try:
        with Stack.start(
            host_environment.var_folder(environment),
            services=services,
            ports="fixed" if host_environment.wants_fixed_ports(environment) else "free",
            outside=outside,
            production=production,
            fsync=True,
            environment=environment,
            console=console,
            keep=True,
            stopping=stopping,
            started=running.append,
        ) as stack:
            return work(stack, stopping)
    except StartInterrupted:
        console.print_line("stopped before it was finished")
        return exit_code_if_stopped


def _selected_services(only: list[str] | None, installed: list[str]) -> list[str]:
    if only is None:
        return installed
    unknown = sorted(set(only) - set(installed))
    if unknown:
        raise Misconfigured(
            f"unknown service: {', '.join(unknown)}", mend=f"installed services: {', '.join(installed) or 'none'}"
        )
    return [name for name in installed if name in only]


def _stop_on_signals(stopping: threading.Event, running: list["Stack"]) -> None:
    """Stop on the first signal and kill on the second. A shell starts background jobs with SIGINT ignored, so it is set here."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            for stack in running:
                stack.kill_all()
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
        signal.signal(signal.SIGHUP, stop)


def _doctor(_arguments: argparse.Namespace) -> int:
    from parvis.local import doctor, host_environment

    checks = doctor.diagnose(host_environment.current_environment())
    for check in checks:
        print(doctor.render_line(check))
    return 1 if any(check.is_fatal for check in checks) else 0
