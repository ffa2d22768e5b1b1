"""Starts and stops a whole town hall: Kafka and PostgreSQL, topics and tables, the simulators, the services."""

import contextlib
import functools
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.local import host_environment, parvis_command, secrets, stack_plan
from parvis.local.console import Console
from parvis.local.free_ports import FreePorts, check_free
from parvis.local.kafka.broker import KafkaBroker
from parvis.local.lock import lock_folder
from parvis.local.postgres.server import PostgresServer
from parvis.local.private_file import close_folders, write_private
from parvis.local.process_factory import KAFKA, OUTSIDE, POSTGRES, ProcessFactory
from parvis.local.process_registry import ProcessRegistry
from parvis.local.readiness import READY_WITHIN_S, StackReadiness
from parvis.local.supervisor import StackStopReason, Supervisor
from parvis.local.waiting import StartInterrupted
from parvis.local.watchdog import Watchdog

# Ctrl-C may take ten seconds: services drain for at most eight, the brokers have the rest.
SERVICES_END_WITHIN_S, ALL_END_WITHIN_S = 8.5, 9.5


class Stack:
    """A town hall on this machine; for `parvis up`, and for tests, benches and faults.

    ```
    with Stack.start(tmp_path, services=["router", "notifier"]) as stack:
        stack.url("router"), stack.kafka, stack.database_url
        stack.kill("router")                      # it is restarted after half a second
        stack.kill("kafka", stays_down=True)      # until stack.start_again("kafka")
    ```
    Processes have the names of the services, and `kafka`, `postgres` and `outside` (the simulators).
    """

    def __init__(self, parts: ProcessFactory) -> None:
        self.plan = parts.plan
        self.env: Mapping[str, str] = self.plan.environment
        self.stopping = threading.Event()
        self._parts = parts
        self._up_file = self.plan.var / "up.json"
        self._is_up = False
        self._file_lock = threading.Lock()
        self.supervisor = Supervisor(report=self._report, changed=self._write_up_file, failed=self.stopping)
        self._readiness = StackReadiness(self.plan, self.supervisor)
        self._broker = parts.broker() if self.plan.embeds_kafka else None
        self._server = parts.server() if self.plan.embeds_postgres else None
        for broker in (self._broker, self._server):
            if broker:
                self.supervisor.add(broker.process, start=functools.partial(self._start_broker, broker))
        for name in (*self.plan.services, *([OUTSIDE] if self.plan.outside else [])):
            self.supervisor.add(parts.service(name))

    @classmethod
    @contextlib.contextmanager
    def start(  # noqa: PLR0913 (options with defaults, all keyword-only but the first)
        cls,
        var: Path,
        *,
        services: Sequence[str] | None = None,
        ports: str = "free",
        outside: bool = False,
        production: bool = False,
        fsync: bool = False,
        prepare: bool | None = None,
        environment: Mapping[str, str] | None = None,
        console: Console | None = None,
        keep: bool = False,
        stopping: threading.Event | None = None,
        started: Callable[["Stack"], None] | None = None,
    ) -> Generator["Stack"]:
        """Start a stack, give it when everything is ready, and stop it at the end of the block.

        Shape:  services: None for all that are installed, [] for Kafka and PostgreSQL only. environment: PARVIS_*
                settings that override the defaults; those of the process do not count. production: without a laptop's defaults. prepare: create topics and
                tables; by default if there are services. keep: do not delete PostgreSQL's data if they are below the
                system's temporary folder. started: called with the stack before it is ready.
        Raises: Misconfigured or Unavailable, with what to do; StartInterrupted, when `stopping` is set.
        """
        given_environment = host_environment.neutral_environment() | dict(environment or {})
        chosen = host_environment.installed_services() if services is None else list(services)
        var, free_ports = var.absolute(), FreePorts()
        with lock_folder(var), contextlib.ExitStack() as undo:
            undo.callback(free_ports.release)
            (var / "up.json").unlink(missing_ok=True)  # of an earlier run that was killed with its watchdog
            if (ended := ProcessRegistry(var / "processes.jsonl").end_leftovers()) and console:
                console.print_line(f"an earlier run was killed; stopped its leftover processes: {', '.join(ended)}")
            local_secrets = secrets.load_secrets(var / "secrets.json")
            plan = stack_plan.plan_stack(
                var=var,
                services=chosen,
                given_environment=given_environment,
                secrets=local_secrets,
                free_port=None if ports == "fixed" else free_ports.take,
                outside=outside,
                production=production,
                config_dir=host_environment.config_dir(),
            )
            check_free(plan.ports_to_open if ports == "fixed" else {})
            ledger, cache = ProcessRegistry(var / "processes.jsonl"), host_environment.cache_folder(given_environment)
            stack = cls(
                ProcessFactory(plan, ledger, free_ports, cache, local_secrets.database_password, fsync, console)
            )
            if stopping:
                stack.stopping = stack.supervisor.failed = stopping
            if started:
                started(stack)
            watchdog = Watchdog(ledger)
            undo.callback(watchdog.dismiss)
            undo.callback(stack._remove_private_files if not keep else lambda: None)
            undo.callback(stack.stop)
            try:
                stack._start_all(prepare=bool(chosen) if prepare is None else prepare)
            except StartInterrupted:
                if stack.failure:
                    raise Misconfigured(stack.failure.sentence) from None
                raise
            except OSError as error:
                problem = f"{error.filename or var}: {error.strerror}"
                raise Unavailable(
                    f"{problem}. Free disk space, or make the user who starts Parvis its owner"
                ) from error
            yield stack

    @property
    def kafka(self) -> str:
        return self.env["PARVIS_KAFKA_BOOTSTRAP"]

    @property
    def database_url(self) -> str:
        return self.env["PARVIS_DATABASE_URL"]

    @property
    def failure(self) -> StackStopReason | None:
        """Why the stack had to stop; None if it had not."""
        return self.supervisor.failure

    def url(self, service: str) -> str:
        return self.plan.url(service)

    def port(self, name: str) -> int:
        """Give the port of "router", "ingest-email.smtp", "kafka", "outside.twilio"…"""
        return self.plan.ports[name]

    def pid(self, name: str) -> int:
        return self.supervisor.process(name).pid

    def log(self, name: str) -> Path:
        """Give the file with the output of a process, which is empty if a console shows it."""
        return self.supervisor.process(name).log

    def kill(self, name: str, *, stays_down: bool = False) -> None:
        """Kill a process and its descendants; it is restarted unless it stays down."""
        self.supervisor.kill(name, stays_down=stays_down)

    def stop_process(self, name: str) -> None:
        """Send SIGTERM and wait; the process stays down until `start_again`."""
        self.supervisor.stop(name)

    def start_again(self, name: str, *, seconds: float = READY_WITHIN_S) -> None:
        """Start a stopped process with the same port and data, and wait until it is ready."""
        self.supervisor.start(name)
        self.wait_ready(name, seconds=seconds)

    def pause(self, name: str) -> None:
        """Send SIGSTOP: the process stops running, and its connections stay open."""
        self.supervisor.process(name).signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self.supervisor.process(name).signal(signal.SIGCONT)

    def new_database(self, name: str, *, copy_of: str = "template1") -> str:
        """Create a database, empty or as a copy of an unused one, and replace one of the same name. Gives its URL."""
        self.drop_database(name)
        server = self._embedded_server()
        server.run_sql(f'CREATE DATABASE "{name}" TEMPLATE "{copy_of}"', database="postgres")
        return server.url(name)

    def drop_database(self, name: str) -> None:
        self._embedded_server().drop(name)

    def wait_ready(self, name: str, *, seconds: float = READY_WITHIN_S) -> None:
        """Wait until a process is ready. Raises: Unavailable, with the reason that it gives."""
        self._readiness.wait_for(name, seconds=seconds, stopping=self.stopping)

    def run_parvis(self, *arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a `parvis` command in this stack's environment."""
        command = [*host_environment.parvis_command(), *arguments]
        return subprocess.run(
            command, env=dict(self.env), capture_output=True, text=True, timeout=timeout_s, check=False
        )

    def _start_all(self, *, prepare: bool) -> None:
        for folder in ("blobs", "log", "scans/ready", "letters"):
            (self.plan.var / folder).mkdir(parents=True, exist_ok=True)
        close_folders(self.plan.var)
        with ThreadPoolExecutor(3, thread_name_prefix="start") as pool:
            tasks = [
                # The simulators create the certificate that the notifier trusts.
                pool.submit(self._start_component, OUTSIDE if self.plan.outside else None, None),
                pool.submit(self._start_component, self._broker and KAFKA, ["topics", "apply"] if prepare else None),
                pool.submit(self._start_component, self._server and POSTGRES, ["migrate"] if prepare else None),
            ]
        errors = [error for task in tasks if (error := task.exception())]
        for error in sorted(
            errors, key=lambda error: isinstance(error, StartInterrupted)
        ):  # the cause before its consequences
            raise error
        self._report(f"Kafka on {self.kafka}, PostgreSQL on {self.plan.address_of_database()}")
        for name in self.plan.services:
            self.supervisor.start(name)
        self._readiness.wait_for_all(stopping=self.stopping)
        self._is_up = self.supervisor.keeps_others_up = True
        self._write_up_file()

    def _start_component(self, name: str | None, then: Sequence[str] | None) -> None:
        """Start Kafka, PostgreSQL or the simulators, then run a command that needs it, such as `parvis migrate`."""
        try:
            if name:
                self.start_again(name)
            if then:
                command = [*host_environment.parvis_command(), *then]
                parvis_command.run_parvis_command(self._parts.command(then[0], command), self.stopping)
        except BaseException:
            self.stopping.set()  # the other components need not start
            raise

    def stop(self) -> None:
        """Stop everything within ten seconds: first the services, so that they can drain, then the brokers."""
        began = time.monotonic()
        self.stopping.set()
        self.supervisor.stop_all([*self.plan.services, OUTSIDE], until_s=began + SERVICES_END_WITHIN_S)
        self.supervisor.stop_all([KAFKA, POSTGRES], until_s=began + ALL_END_WITHIN_S)
        self.supervisor.close()
        self._parts.ledger.end_leftovers(patience_s=0.5)
        self._up_file.unlink(missing_ok=True)

    def kill_all(self) -> None:
        """Kill everything at once, on a second Ctrl-C."""
        for name in self.supervisor.names():
            self.supervisor.process(name).signal(signal.SIGKILL)

    def _remove_private_files(self) -> None:
        if self._server:
            self._server.forget()

    def _embedded_server(self) -> PostgresServer:
        if not self._server:
            raise Misconfigured("this stack has no PostgreSQL of its own", mend="unset PARVIS_DATABASE_URL")
        return self._server

    def _start_broker(self, broker: KafkaBroker | PostgresServer) -> None:
        broker.start(report=self._report, stopping=self.stopping)

    def _report(self, sentence: str) -> None:
        if self._parts.console:
            self._parts.console.print_line(sentence)

    def _write_up_file(self) -> None:
        """Write `up.json` for other programs, again after each restart."""
        if not self._is_up or self.stopping.is_set():
            return
        pids = {name: self.pid(name) for name in self.supervisor.names()}
        contents = self.plan.describe(pids, supervisor=os.getpid())
        with self._file_lock:
            write_private(self._up_file, json.dumps(contents, indent=2))
