"""The town's relay in, a mailbox of somebody else out: Postfix with STARTTLS and a login by Dovecot, and where it delivers to."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from parvis.simulators.mail.certificate import tls_context
from tests.mail import dovecot, postfix
from tests.mail.daemon import end, free_port

USER, PASSWORD = "mairie", "une-clef-d-essai"


def missing() -> str | None:
    return postfix.missing() or dovecot.missing()


@dataclass
class Received:
    sender: str
    recipient: str
    content: bytes
    is_international: bool


@dataclass
class Elsewhere:
    """The server of the citizen's provider: it takes what Postfix brings."""

    mails: list[Received] = field(default_factory=list[Received])
    open: set[Any] = field(default_factory=set[Any])

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        content: Any = envelope.original_content
        self.mails.append(
            Received(str(envelope.mail_from), str(envelope.rcpt_tos[0]), bytes(content), bool(envelope.smtp_utf8))
        )
        return "250 2.0.0 taken"


class _Door(SMTP):
    """One connection from Postfix, known: a loop that ends with one open leaves its socket open as well."""

    def __init__(self, elsewhere: Elsewhere) -> None:
        super().__init__(elsewhere, hostname="mx.citizens.example", enable_SMTPUTF8=True)
        self._elsewhere = elsewhere

    def connection_made(self, transport: Any) -> None:
        self._carrier = transport
        self._elsewhere.open.add(transport)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._elsewhere.open.discard(self._carrier)


class _Elsewheres(Controller):
    def factory(self) -> SMTP:
        return _Door(self.handler)


@dataclass
class Relay:
    port: int
    ca_file: Path
    elsewhere: Elsewhere
    server: postfix.MailServer


@contextmanager
def relay() -> Generator[Relay]:
    """Start all three, give the relay, end them."""
    folder = Path(tempfile.mkdtemp(prefix="parvis-relay-"))
    elsewhere = Elsewhere()
    away = _Elsewheres(elsewhere, hostname="127.0.0.1", port=free_port(), ready_timeout=20)
    try:
        folder.chmod(0o755)
        certificate = folder / "relay.pem"
        tls_context(certificate, "127.0.0.1")
        login = free_port()
        away.start()
        with _logins(folder, login), postfix.mail_server(lmtp_port=1, recipients="", **_settings(certificate, login, away.port)) as server:  # fmt: skip
            yield Relay(server.port, certificate, elsewhere, server)
    finally:
        ends_at = time.monotonic() + 10
        while elsewhere.open and time.monotonic() < ends_at:
            for transport in list(elsewhere.open):
                away.loop.call_soon_threadsafe(transport.abort)
            time.sleep(0.05)
        away.stop(no_assert=True)
        shutil.rmtree(folder, ignore_errors=True)


def _settings(certificate: Path, login: int, away: int) -> dict[str, str]:
    return {
        "smtpd_tls_security_level": "encrypt", "smtpd_tls_chain_files": f"{certificate.with_suffix('.key')}, {certificate}", "smtpd_tls_auth_only": "yes",
        "smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "dovecot", "smtpd_sasl_path": f"inet:127.0.0.1:{login}",
        "smtpd_relay_restrictions": "permit_sasl_authenticated,reject",
        "smtpd_recipient_restrictions": "permit_sasl_authenticated,reject", "smtpd_sender_restrictions": "",
        "smtpd_helo_restrictions": "", "smtpd_data_restrictions": "", "smtpd_client_restrictions": "",
        "default_transport": f"smtp:[127.0.0.1]:{away}", "smtputf8_enable": "yes", "header_checks": "",
    }  # fmt: skip


@contextmanager
def _logins(folder: Path, port: int) -> Generator[None]:
    """Dovecot, which says who may send."""
    run = folder / "logins"
    (folder / "logins.conf").write_text(
        f"base_dir = {run}\nstate_dir = {folder}/state\nlog_path = {folder}/log\nprotocols =\nssl = no\n"
        "disable_plaintext_auth = no\nauth_mechanisms = plain login\nfirst_valid_uid = 1\n"
        f"passdb {{\n  driver = static\n  args = password={PASSWORD}\n}}\n"
        f"userdb {{\n  driver = static\n  args = uid=nobody gid=nogroup home={folder}\n}}\n"
        f"service auth {{\n  chroot =\n  inet_listener {{\n    address = 127.0.0.1\n    port = {port}\n  }}\n}}\n"
        "service anvil {\n  chroot =\n}\nservice stats {\n  chroot =\n}\n"
    )
    subprocess.run(
        [str(dovecot.PROGRAM), "-c", str(folder / "logins.conf")],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    try:
        yield
    finally:
        end(int((run / "master.pid").read_text()))
