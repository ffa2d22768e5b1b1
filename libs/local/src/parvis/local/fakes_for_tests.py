"""Provides fake services, a Maven repository and a Kafka with logins on the loopback, for tests of the stack."""

import http.server
import textwrap
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from parvis.local import host_environment
from parvis.local.console import quiet_console
from parvis.local.free_ports import FreePorts
from parvis.local.kafka.broker import KafkaBroker
from parvis.local.kafka.certificates import CertificateAuthority
from parvis.local.kafka.properties import BrokerLogins, BrokerTls
from parvis.local.process_registry import ProcessRegistry

FAKE = """
    import http.server, os, signal, sys
    name = {name!r}
    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/ready" else 404)
            self.end_headers()
        def log_message(self, *_):
            pass
    signal.signal(signal.SIGTERM, lambda *_: (print(name, "drained", flush=True), os._exit(0)))
    {before}
    print(name, "started", flush=True)
    port = int(os.environ["PARVIS_" + name.upper().replace("-", "_") + "_PORT"])
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Pages).serve_forever()
"""


@dataclass
class FakeServices:
    """A folder of services that only answer /ready."""

    folder: Path
    names: list[str] = field(default_factory=list[str])

    def add(self, name: str, before: str = "") -> str:
        package = self.folder / "parvis" / name.replace("-", "_")
        package.mkdir(parents=True)
        text = textwrap.dedent(FAKE).format(name=name, before=before)
        (package / "__main__.py").write_text(text, encoding="utf-8")
        (package / "__init__.py").write_text("", encoding="utf-8")
        self.names.append(name)
        return name

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.folder)}


@dataclass
class FakeMavenRepository:
    """A Maven repository that serves the bytes of each path, or 404."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    requested_paths: list[str] = field(default_factory=list[str])


@contextmanager
def serving_repository() -> Generator[FakeMavenRepository]:
    """Serve `files` until the block ends."""
    repository = FakeMavenRepository("")

    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            repository.requested_paths.append(self.path)
            body = repository.files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    repository.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield repository
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def kafka_with_logins(
    folder: Path, plain_users: Mapping[str, str], *, scram_users: Mapping[str, str]
) -> Generator[tuple[str, str]]:
    """Run a broker with an authorizer. Gives its address for the super user, and the one for users with passwords."""
    ports = FreePorts()
    logins = BrokerLogins(ports.take(), plain_users, scram_users)
    with _broker_with_logins(folder, ports, logins) as super_user:
        yield super_user, f"127.0.0.1:{logins.port}"


@dataclass(frozen=True)
class EncryptedKafka:
    """The addresses of a broker that encrypts, for the super user and the two kinds of users, and its certificates."""

    super_user: str
    for_passwords: str
    for_certificates: str
    authority: CertificateAuthority


@contextmanager
def encrypted_kafka(folder: Path, *, scram_users: Mapping[str, str]) -> Generator[EncryptedKafka]:
    """Run a broker with an authorizer whose users log in over TLS, by SCRAM-SHA-512 or by a client certificate."""
    ports, authority = FreePorts(), CertificateAuthority.make(folder / "tls")
    tls = BrokerTls(authority.sign_for_broker(), authority.ca_file, ports.take())
    logins = BrokerLogins(ports.take(), scram_users=scram_users, tls=tls)
    with _broker_with_logins(folder, ports, logins) as super_user:
        yield EncryptedKafka(super_user, f"127.0.0.1:{logins.port}", f"127.0.0.1:{tls.certificate_port}", authority)


@contextmanager
def _broker_with_logins(folder: Path, ports: FreePorts, logins: BrokerLogins) -> Generator[str]:
    broker = KafkaBroker(
        folder=folder / "kafka",
        cache=host_environment.cache_folder(host_environment.current_environment()),
        port=ports.take(),
        ports=ports,
        ledger=ProcessRegistry(folder / "kafka-processes.jsonl"),
        log=folder / "log" / "kafka.log",
        logins=logins,
    )
    try:
        broker.start(report=quiet_console)
        yield broker.bootstrap
    finally:
        broker.process.stop(10)
        ports.release()
