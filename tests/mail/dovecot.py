"""Runs Debian's Dovecot as an IMAP host in a temporary folder for tests."""

import getpass
import grp
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from imapclient import IMAPClient

from tests.mail.daemon import end, free_port

PROGRAM = shutil.which("dovecot", path="/usr/sbin:/usr/bin:/usr/local/sbin:/opt/homebrew/sbin")
PASSWORD = "une-clef-d-essai"
MAILBOX = "mairie@example-town.example"


def missing() -> str | None:
    """Return why Dovecot cannot run here; None if it can."""
    return None if PROGRAM else "Dovecot is not installed: make system"


@dataclass
class MailHost:
    """A running Dovecot. A mailbox is created at its first login; all have the same password."""

    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"imap://{MAILBOX}@127.0.0.1:{self.port}/INBOX"

    @contextmanager
    def client(self, user: str = MAILBOX) -> Generator[Any]:
        client: Any = IMAPClient("127.0.0.1", self.port, ssl=False, timeout=20)
        try:
            client.login(user, PASSWORD)
            yield client
        finally:
            client.logout()

    def deliver(self, *mails: bytes, received_at: datetime | None = None) -> None:
        """Append mails to the inbox."""
        with self.client() as client:
            for mail in mails:
                client.append("INBOX", mail, msg_time=received_at)

    def count(self, folder: str = "INBOX") -> int:
        with self.client() as client:
            return int(client.folder_status(folder, ["MESSAGES"])[b"MESSAGES"]) if client.folder_exists(folder) else 0

    def reset_uidvalidity(self) -> None:
        """Delete the index of the inbox, so that the same mails get a new UIDVALIDITY, as after a restored backup."""
        before, ends_at = self._uidvalidity(), time.monotonic() + 10
        while (
            self._uidvalidity() == before and time.monotonic() < ends_at
        ):  # UIDVALIDITY is derived from the time in seconds
            for file in (self.folder / "mail" / MAILBOX).glob("dovecot*"):
                file.unlink(missing_ok=True)
            time.sleep(0.2)

    def _uidvalidity(self) -> int:
        with self.client() as client:
            return int(client.folder_status("INBOX", ["UIDVALIDITY"])[b"UIDVALIDITY"])

    def drop_connections(self) -> int:
        """Kill every session without BYE and return their number."""
        master = self.pid_of_master()
        children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        ended = 0
        for pid in children:
            with suppress(FileNotFoundError, ProcessLookupError):  # the session may have ended meanwhile
                if Path(f"/proc/{pid}/comm").read_text().strip() == "imap":
                    os.kill(int(pid), signal.SIGKILL)
                    ended += 1
        return ended

    def pid_of_master(self) -> str:
        return (self.folder / "run" / "master.pid").read_text().strip()


@contextmanager
def mail_host(*, without: str = "", port: int | None = None) -> Generator[MailHost]:
    """Run Dovecot for the duration of the block.

    Shape: without: a capability that it does not offer, such as IDLE or MOVE.
    """
    folder = Path(
        tempfile.mkdtemp(prefix="parvis-mail-host-")
    )  # readable by the unprivileged user that Dovecot runs as
    try:
        folder.chmod(0o755)
        host = MailHost(port or free_port(), folder)
        _write(host, without)
        started = subprocess.run(
            [str(PROGRAM), "-c", str(folder / "dovecot.conf")],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        _until_listening(host, started.returncode)
        try:
            yield host
        finally:
            end(int(host.pid_of_master()))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(host: MailHost, without: str) -> None:
    is_root = os.geteuid() == 0
    me = getpass.getuser() if not is_root else "nobody"
    user = pwd.getpwnam(me)
    group = grp.getgrgid(user.pw_gid).gr_name
    (host.folder / "mail").mkdir()
    os.chown(host.folder / "mail", user.pw_uid, user.pw_gid)
    own = (
        ""
        if is_root
        else f"default_internal_user = {me}\ndefault_login_user = {me}\ndefault_internal_group = {group}\n"
    )
    offered = "" if not without else f"imap_capability = {_CAPABILITIES.replace(without, '').replace('  ', ' ')}\n"
    (host.folder / "dovecot.conf").write_text(
        f"{own}{offered}base_dir = {host.folder}/run\nstate_dir = {host.folder}/state\nlog_path = {host.folder}/log\n"
        f"protocols = imap\nlisten = 127.0.0.1\nssl = no\ndisable_plaintext_auth = no\nfirst_valid_uid = 1\n"
        f"mail_location = maildir:{host.folder}/mail/%u\nmail_fsync = never\n"
        f"passdb {{\n  driver = static\n  args = password={PASSWORD}\n}}\n"
        f"userdb {{\n  driver = static\n  args = uid={me} gid={group} home={host.folder}/mail/%u\n}}\n"
        f"service imap-login {{\n  chroot =\n  inet_listener imap {{\n    port = {host.port}\n  }}\n"
        f"  inet_listener imaps {{\n    port = 0\n  }}\n}}\nservice anvil {{\n  chroot =\n}}\nservice stats {{\n  chroot =\n}}\n"
        f"namespace inbox {{\n  inbox = yes\n  separator = /\n}}\n"
    )


_CAPABILITIES = (
    "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED "
    "CONDSTORE MOVE SPECIAL-USE"
)


def _until_listening(host: MailHost, code: int) -> None:
    ends_at = time.monotonic() + 20
    while time.monotonic() < ends_at and code == 0:
        try:
            with socket.create_connection(("127.0.0.1", host.port), timeout=1) as caller:
                if caller.recv(4):
                    return
        except OSError:
            time.sleep(0.05)
    log = host.folder / "log"
    raise RuntimeError(f"Dovecot does not start: {log.read_text()[-500:] if log.exists() else code}")
