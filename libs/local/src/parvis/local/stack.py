"""Starts and stops a whole town hall: Kafka and PostgreSQL, topics and tables, the simulators, the services."""

import contextlib
import functools
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.local import run_command, secrets, stack_environment, stack_plan
from parvis.local.console import Console
from parvis.local.free_ports import FreePorts, check_free
from parvis.local.kafka.broker import KafkaBroker
from parvis.local.lock import lock_folder
from parvis.local.postgres.server import PostgresServer
from parvis.local.private_file import write_private
from parvis.local.process_registry import ProcessRegistry
from parvis.local.processes import KAFKA, OUTSIDE, POSTGRES, StackProcesses
from parvis.local.readiness import is_ready, listens, ready_answer
from parvis.local.supervisor import SupervisionFailure, Supervisor
from parvis.local.waiting import StackStopped, wait_until
from parvis.local.watchdog import Watchdog

_READY_WITHIN_S = 300
# Of the ten seconds that Ctrl-C may take: services drain for eight at most, then their brokers have the rest.
SERVICES_END_WITHIN_S, ALL_END_WITHIN_S = 8.5, 9.5


class Stack:
    """A town hall on this machine; for `parvis up`, and for tests, benches and faults.

    ```
    with Stack.start(tmp_path, services=["router", "notifier"]) as stack:
        stack.url("router"), stack.kafka, stack.database_url
        stack.kill("router")                      # it comes back after half a second
        stack.kill("kafka", stays_down=True)      # until stack.start_again("kafka")
    ```
    Every process is called by its name: the services', `kafka`, `postgres`, `outside`.
    """

    def __init__(self, parts: StackProcesses) -> None:
        self.plan = parts.plan
        self.env: Mapping[str, str] = self.plan.environment
        self.stopping = threading.Event()
        self._parts = parts
        self._up_file = self.plan.var / "up.json"
        self._is_up = False
        self._file_lock = threading.Lock()
        self.supervisor = Supervisor(tell=self._report, changed=self._write_up_file, failed=self.stopping)
        self._broker = parts.broker() if self.plan.embeds_kafka else None
        self._server = parts.server() if self.plan.embeds_postgres else None
        for broker in (self._broker, self._server):
            if broker:
                self.supervisor.add(broker.process, start=functools.partial(self._start_broker, broker))
        for name in (*self.plan.services, *([OUTSIDE] if self.plan.outside else [])):
            self.supervisor.add(parts.service(name))

    @classmethod
    @contextlib.contextmanager
    def start(  # noqa: PLR0913 (a wish list; each has a default, all but the first by name)
        cls,
        var: Path,
        *,
        services: Sequence[str] | None = None,
        ports: str = "free",
        outside: bool = False,
        fsync: bool = False,
        prepare: bool | None = None,
        environment: Mapping[str, str] | None = None,
        console: Console | None = None,
        keep: bool = False,
        stopping: threading.Event | None = None,
        started: Callable[["Stack"], None] | None = None,
    ) -> Generator["Stack"]:
        """Start, give the stack when everything is ready, and end all of it with the block.

        Shape:  services: None for all that are installed, [] for Kafka and PostgreSQL alone. environment: what is
                set in it is honoured, as by `parvis up`; by default nothing of ours is. prepare: topics and tables,
                by default where there are services. keep: PostgreSQL's files outlive the stack also where they had
                to be put under the system's temporary folder. started: gets the stack before it is ready.
        Raises: Misconfigured or Unavailable, in a sentence with the way out; Stopped, when `stopping` was set.
        """
        given = stack_environment.neutral_environment() | dict(environment or {})
        chosen = stack_environment.installed_services() if services is None else list(services)
        var, free_ports = var.absolute(), FreePorts()
        with lock_folder(var), contextlib.ExitStack() as undo:
            undo.callback(free_ports.release)
            if (ended := ProcessRegistry(var / "processes.jsonl").end_leftovers()) and console:
                console.print_line(f"an earlier run was killed; ended what it had left: {', '.join(ended)}")
            known = secrets.load_secrets(var / "secrets.json")
            plan = stack_plan.plan_stack(
                var=var,
                services=chosen,
                given=given,
                secrets=known,
                free_port=None if ports == "fixed" else free_ports.take,
                outside=outside,
                config_dir=stack_environment.config_dir(),
            )
            check_free(plan.ports_to_open if ports == "fixed" else {})
            ledger, cache = ProcessRegistry(var / "processes.jsonl"), stack_environment.cache_folder(given)
            stack = cls(StackProcesses(plan, ledger, free_ports, cache, known.database_password, fsync, console))
            if stopping:
                stack.stopping = stack.supervisor.failed = stopping
            if started:
                started(stack)
            keeper = Watchdog(ledger)
            undo.callback(keeper.dismiss)
            undo.callback(stack._forget if not keep else lambda: None)
            undo.callback(stack.stop)
            try:
                stack._start_all(prepare=bool(chosen) if prepare is None else prepare)
            except StackStopped:
                if stack.failure:
                    raise Misconfigured(stack.failure.sentence) from None
                raise
            except OSError as error:
                what = f"{error.filename or var}: {error.strerror}"
                raise Unavailable(f"{what}. Make room there, or give it to the user who starts Parvis") from error
            yield stack

    # what it offers

    @property
    def kafka(self) -> str:
        return self.env["PARVIS_KAFKA_BOOTSTRAP"]

    @property
    def database_url(self) -> str:
        return self.env["PARVIS_DATABASE_URL"]

    @property
    def failure(self) -> SupervisionFailure | None:
        """Why it had to end, if it had to."""
        return self.supervisor.failure

    def url(self, service: str) -> str:
        return self.plan.url(service)

    def port(self, name: str) -> int:
        """Of "router", "ingest-email.smtp", "kafka", "outside.twilio"…"""
        return self.plan.ports[name]

    def pid(self, name: str) -> int:
        return self.supervisor.process(name).pid

    def log(self, name: str) -> Path:
        """Where its output goes when nobody watches a terminal."""
        return self.supervisor.process(name).log

    def kill(self, name: str, *, stays_down: bool = False) -> None:
        """kill -9, with all that it started; it comes back by itself unless it is to stay down."""
        self.supervisor.kill(name, stays_down=stays_down)

    def stop_one(self, name: str) -> None:
        """SIGTERM, and wait; it stays down until `start_again`."""
        self.supervisor.stop(name)

    def start_again(self, name: str, *, seconds: float = _READY_WITHIN_S) -> None:
        """Start what is down, on the same port and data, and wait until it is ready."""
        self.supervisor.start(name)
        self.wait_ready(name, seconds=seconds)

    def pause(self, name: str) -> None:
        """SIGSTOP: it stands still, its connections stay open."""
        self.supervisor.process(name).signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self.supervisor.process(name).signal(signal.SIGCONT)

    def new_database(self, name: str, *, copy_of: str = "template1") -> str:
        """Make a database in place of an older one of that name: empty, or a copy of one that nobody uses; give its URL."""
        self.drop_database(name)
        server = self._embedded_server()
        server.run_sql(f'CREATE DATABASE "{name}" TEMPLATE "{copy_of}"', database="postgres")
        return server.url(name)

    def drop_database(self, name: str) -> None:
        self._embedded_server().drop(name)

    def wait_ready(self, name: str, *, seconds: float = _READY_WITHIN_S) -> None:
        """Raises: Unavailable, with what it says of itself."""
        if not wait_until(lambda: self._is_ready(name), seconds=seconds, stopping=self.stopping):
            raise Unavailable(f"{name} is not ready after {seconds:.0f} s: {self._readiness(name)}")

    def run_parvis(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a `parvis` command in this stack's environment."""
        command = [*stack_environment.parvis_command(), *arguments]
        return subprocess.run(
            command, env=dict(self.env), capture_output=True, text=True, timeout=timeout_s, check=False
        )

    # how it comes up

    def _start_all(self, *, prepare: bool) -> None:
        for folder in ("blobs", "log", "scans/ready", "letters"):
            (self.plan.var / folder).mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(3, thread_name_prefix="start") as pool:
            roads = [
                # It makes the certificate that the notifier trusts.
                pool.submit(self._start_component, OUTSIDE if self.plan.outside else None, None),
                pool.submit(self._start_component, self._broker and KAFKA, ["topics", "apply"] if prepare else None),
                pool.submit(self._start_component, self._server and POSTGRES, ["migrate"] if prepare else None),
            ]
        errors = [error for road in roads if (error := road.exception())]
        for error in sorted(
            errors, key=lambda error: isinstance(error, StackStopped)
        ):  # the cause before what it stopped
            raise error
        self._report(f"Kafka on {self.kafka}, PostgreSQL on {self.plan.address_of_database()}")
        for name in self.plan.services:
            self.supervisor.start(name)
        self._wait_for_all()
        self._is_up = True
        self._write_up_file()

    def _start_component(self, name: str | None, then: Sequence[str] | None) -> None:
        """One of the parts that do not need each other: a broker, and what has to be made in it; the outside world."""
        try:
            if name:
                self.start_again(name)
            if then:
                command = [*stack_environment.parvis_command(), *then]
                run_command.run_parvis_command(self._parts.program(then[0], command), self.stopping)
        except BaseException:
            self.stopping.set()  # the others need not go on
            raise

    def _wait_for_all(self) -> None:
        names, dying = self.supervisor.names(), self.supervisor.crashing_process
        wait_until(
            lambda: bool(dying()) or all(map(self._is_ready, names)),
            seconds=_READY_WITHIN_S,
            stopping=self.stopping,
            every_s=0.05,
        )
        if name := dying():
            raise Unavailable(f"{name} ends whenever it is started: {self._readiness(name)}")
        late = [f"{name} ({self._readiness(name)})" for name in names if not self._is_ready(name)]
        if late:
            raise Unavailable(f"not ready after {_READY_WITHIN_S} s: {'; '.join(late)}")

    def _is_ready(self, name: str) -> bool:
        if not self.supervisor.process(name).is_running:
            return False
        if name == OUTSIDE:
            return all(listens(port) for port in self.plan.ports_of(OUTSIDE).values())
        # The brokers' own start waits for their own answer.
        return name in (KAFKA, POSTGRES) or is_ready(self.plan.ports[name])

    def _readiness(self, name: str) -> str:
        """In its own words, for somebody who waits for it in vain."""
        process = self.supervisor.process(name)
        if not process.is_running:
            return next((line for line in reversed(process.tail()) if line.strip()), "not running")
        return ready_answer(self.plan.ports[name])[1] if name in self.plan.services else "no answer yet"

    # how it ends

    def stop(self) -> None:
        """End everything within ten seconds: the services first, so that they can finish, then the brokers."""
        began = time.monotonic()
        self.stopping.set()
        self.supervisor.stop_all([*self.plan.services, OUTSIDE], until_s=began + SERVICES_END_WITHIN_S)
        self.supervisor.stop_all([KAFKA, POSTGRES], until_s=began + ALL_END_WITHIN_S)
        self.supervisor.close()
        self._parts.ledger.end_leftovers(patience_s=0.5)
        self._up_file.unlink(missing_ok=True)

    def kill_all(self) -> None:
        """Whoever asks twice is in a hurry."""
        for name in self.supervisor.names():
            self.supervisor.process(name).signal(signal.SIGKILL)

    def _forget(self) -> None:
        if self._server:
            self._server.forget()

    def _embedded_server(self) -> PostgresServer:
        if not self._server:
            raise Misconfigured("this stack has no PostgreSQL of its own", mend="unset PARVIS_DATABASE_URL")
        return self._server

    def _start_broker(self, broker: KafkaBroker | PostgresServer) -> None:
        broker.start(tell=self._report, stopping=self.stopping)

    def _report(self, sentence: str) -> None:
        if self._parts.console:
            self._parts.console.print_line(sentence)

    def _write_up_file(self) -> None:
        """Say where everything is, for programs; anew whenever a process was started again."""
        if not self._is_up or self.stopping.is_set():
            return
        described = self.plan.described({name: self.pid(name) for name in self.supervisor.names()})
        with self._file_lock:
            write_private(self._up_file, json.dumps(described, indent=2))
