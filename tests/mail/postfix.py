"""A mail server of our own in front of a door: Debian's Postfix with the configuration of `deploy/postfix`, in a folder of its own."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.mail.daemon import end, free_port

ROOT = Path(__file__).parents[2]
GIVEN = ROOT / "deploy" / "postfix"
PROGRAM = shutil.which("postfix", path="/usr/sbin:/usr/bin")
NAME = "mx.example-town.example"


def missing() -> str | None:
    """Why there can be no Postfix here, in a sentence; none when there can."""
    if not PROGRAM:
        return "Postfix is not installed: make system"
    if os.geteuid() != 0:
        return "Postfix can only be started by root"
    try:
        pwd.getpwnam("postfix")
    except KeyError:
        return "Postfix has no user of its own here"
    return None


@dataclass
class MailServer:
    """What stands in front of the door."""

    port: int
    folder: Path

    def command(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [f"/usr/sbin/{name}", "-c", str(self.folder / "etc"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    @property
    def queued(self) -> int:
        """How many mails wait."""
        return sum(1 for line in self.command("postqueue", "-j").stdout.splitlines() if line.strip())

    def try_again(self) -> None:
        """Deliver what waits, now."""
        self.command("postqueue", "-f")

    @property
    def log(self) -> str:
        file = self.folder / "log"
        return file.read_text(errors="replace") if file.exists() else ""


@contextmanager
def mail_server(*, lmtp_port: int, recipients: str, **settings: str) -> Generator[MailServer]:
    """Start it, give it, end it. Shape: recipients: the map that `parvis mail recipients` prints."""
    folder = Path(tempfile.mkdtemp(prefix="parvis-mail-server-"))
    made = MailServer(free_port(), folder)
    try:
        folder.chmod(0o755)
        _write(made, lmtp_port, recipients, settings)
        started = made.command("postfix", "start")
        _until_listening(made, started)
        try:
            yield made
        finally:
            end(int((folder / "spool" / "pid" / "master.pid").read_text()))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_configuration(folder: Path, changes: Mapping[str, str], *, smtp: str = "smtp") -> None:
    """The given files, with some settings changed and the place to listen."""
    folder.mkdir(parents=True)
    text = (GIVEN / "main.cf").read_text().replace("/etc/postfix/", f"{folder}/")
    for name in changes:
        text = re.sub(rf"^{name} *=.*$", "", text, flags=re.MULTILINE)
    text += "".join(f"{name} = {value}\n" for name, value in changes.items())
    (folder / "main.cf").write_text(text)
    master = (GIVEN / "master.cf").read_text()
    (folder / "master.cf").write_text(re.sub(r"^smtp( +inet)", rf"{smtp}\1", master, count=1, flags=re.MULTILINE))
    shutil.copy(GIVEN / "parvis-header-checks", folder)


def _write(server: MailServer, lmtp_port: int, recipients: str, settings: Mapping[str, str]) -> None:
    spool, state = server.folder / "spool", server.folder / "state"
    spool.mkdir()
    state.mkdir()
    user = pwd.getpwnam("postfix")
    os.chown(state, user.pw_uid, user.pw_gid)
    own = {
        "queue_directory": str(spool), "data_directory": str(state), "maillog_file": str(server.folder / "log"),
        "maillog_file_prefixes": str(server.folder), "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4",
        "relay_transport": f"lmtp:inet:127.0.0.1:{lmtp_port}", "default_transport": "error:nobody is written to from here",
        "disable_dns_lookups": "yes", "minimal_backoff_time": "2s", "maximal_backoff_time": "4s", "queue_run_delay": "2s",
        "smtpd_client_message_rate_limit": "0", "queue_minfree": "0", "lmtp_connect_timeout": "2s",
    }  # fmt: skip
    etc = server.folder / "etc"
    write_configuration(etc, own | dict(settings), smtp=f"127.0.0.1:{server.port}")
    (etc / "parvis-recipients").write_text(recipients)


def _until_listening(server: MailServer, started: subprocess.CompletedProcess[str]) -> None:
    ends_at = time.monotonic() + 30
    while time.monotonic() < ends_at and started.returncode == 0:
        try:
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as caller:
                if caller.recv(3) == b"220":
                    return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"Postfix does not start: {started.stderr[-500:]} {server.log[-500:]}")
