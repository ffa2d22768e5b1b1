"""`parvis up` and `parvis doctor`: the stack on this machine, and what this machine lacks for it."""

import argparse
import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING

from parvis.common.cli.commands import Commands
from parvis.common.errors import Misconfigured

if TYPE_CHECKING:
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
    from parvis.local import surroundings
    from parvis.local.console import Console
    from parvis.local.stack import Stack
    from parvis.local.waiting import Stopped

    given = surroundings.environment()
    services = _chosen(arguments.only, surroundings.installed_services())
    console = Console([*services, "outside", "topics", "migrate"])
    stopping = threading.Event()
    running: list[Stack] = []
    _on_signals(stopping, running)
    given.setdefault("PARVIS_LOG_FORMAT", "console")
    try:
        with Stack.start(
            surroundings.var(given),
            services=services,
            ports="fixed" if surroundings.wants_fixed_ports(given) else "free",
            outside=arguments.outside,
            fsync=True,
            environment=given,
            console=console,
            keep=True,
            stopping=stopping,
            started=running.append,
        ) as stack:
            console.plain("ready")
            stopping.wait()
            if stack.failure:
                raise Misconfigured(stack.failure.sentence)
    except Stopped:
        console.tell("stopped before everything was ready")
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    import asyncio

    from parvis.local import surroundings
    from parvis.local.console import QuietConsole
    from parvis.local.demo import show
    from parvis.local.demo.play import Cast, play_until
    from parvis.local.stack import Stack
    from parvis.local.waiting import Stopped

    given = surroundings.environment()
    given.setdefault("PARVIS_LOG_FORMAT", "console")
    var = surroundings.var(given)
    console = QuietConsole(var / "log")
    stopping = threading.Event()
    running: list[Stack] = []
    _on_signals(stopping, running)
    console.tell("starting Kafka, PostgreSQL, the services and the outside world")
    try:
        with Stack.start(
            var,
            ports="fixed" if surroundings.wants_fixed_ports(given) else "free",
            outside=True,
            fsync=True,
            environment=given,
            console=console,
            keep=True,
            stopping=stopping,
            started=running.append,
        ) as stack:
            rows = [journey.row() for journey in asyncio.run(play_until(stopping, stack, console.tell, Cast()))]
            show.write(rows, var / "demo" / "journey.json")
            console.plain(f"\n{show.table(rows)}\n")
            if arguments.once:
                return 0 if all(row["status"] == "delivered" for row in rows) else 1
            console.plain(show.addresses(stack))
            stopping.wait()
    except Stopped:
        console.tell("stopped before everything was ready")
        return 1 if arguments.once else 0
    return 0


def _chosen(only: list[str] | None, installed: list[str]) -> list[str]:
    if only is None:
        return installed
    unknown = sorted(set(only) - set(installed))
    if unknown:
        raise Misconfigured(
            f"no such service: {', '.join(unknown)}", mend=f"there are: {', '.join(installed) or 'none'}"
        )
    return [name for name in installed if name in only]


def _on_signals(stopping: threading.Event, running: list["Stack"]) -> None:
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
    from parvis.local import doctor, surroundings

    checks = doctor.examine(surroundings.environment())
    for check in checks:
        print(doctor.line(check))
    return 1 if any(check.prevents for check in checks) else 0
