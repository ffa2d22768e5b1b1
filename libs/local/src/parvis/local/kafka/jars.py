"""Fetches the broker's jars named in the lock file and checks each against its SHA-256."""

import contextlib
import functools
import hashlib
import tempfile
import threading
import tomllib
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.local.waiting import NEVER, StartInterrupted

LOCK = Path(__file__).parent / "jgo.lock.toml"
_AT_ONCE = 4
_WAY_OUT = (
    "Check the network, or the proxy (HTTPS_PROXY), and start again: finished files are not fetched twice. "
    "Or set PARVIS_KAFKA_BOOTSTRAP to your own Kafka"
)


@dataclass(frozen=True)
class Jar:
    """One file in the lock file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        return f"{self.artifact}-{self.version}.jar"

    def is_whole(self, folder: Path) -> bool:
        with contextlib.suppress(OSError), (folder / self.file_name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        return False


def read_lock_file(lock: Path = LOCK) -> list[Jar]:
    rows = tomllib.loads(lock.read_text(encoding="utf-8"))["dependencies"]
    return [Jar(row["groupId"], row["artifactId"], row["version"], row["sha256"]) for row in rows]


def missing_jars(folder: Path, jars: Sequence[Jar]) -> list[Jar]:
    """List the jars that are missing, or whose checksum is wrong."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        whole = list(pool.map(functools.partial(Jar.is_whole, folder=folder), jars))
    return [jar for jar, is_whole in zip(jars, whole, strict=True) if not is_whole]


def fetch_jars(folder: Path, jars: Sequence[Jar], *, report: Callable[[str], None], stopping: Event = NEVER) -> None:
    """Download jars into the folder; each appears there atomically, after its checksum is checked.

    Raises: Unavailable, when the repository cannot be reached or the disk is full; StartInterrupted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    progress = _Progress(len(jars), report, stopping)
    with tempfile.TemporaryDirectory(prefix=".incoming-", dir=folder) as incoming, ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            bring = functools.partial(_fetch_jar, folder=folder, incoming=Path(incoming), progress=progress)
            for _ in pool.map(bring, jars):
                progress.count_jar()
        finally:
            pool.shutdown(cancel_futures=True)


def _fetch_jar(jar: Jar, folder: Path, incoming: Path, progress: "_Progress") -> None:
    # jgo imports `requests` and `rich`, which takes 0.3 s; only the first start needs it.
    import requests
    from jgo.config import GlobalSettings
    from jgo.maven import MavenContext, PythonResolver

    mirrors = GlobalSettings.load().repositories or None  # jgo's setting for a mirror
    resolver = PythonResolver(progress_callback=progress.of_file)
    context = MavenContext(resolver=resolver, repo_cache=incoming, local_repos=[], remote_repos=mirrors)
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact("", "jar")
    try:
        fetched = resolver.download(artifact)
    except requests.RequestException as error:
        raise Unavailable(
            f"{jar.file_name} could not be downloaded: the Maven repository does not answer. {_WAY_OUT}"
        ) from error
    except RuntimeError as error:
        raise Unavailable(
            f"{jar.file_name} could not be downloaded: the Maven repository refused it. {_WAY_OUT}"
        ) from error
    except OSError as error:
        raise Unavailable(
            f"{jar.file_name} could not be written to {folder}: {error.strerror}. Free disk space"
        ) from error
    if not fetched or hashlib.sha256(fetched.read_bytes()).hexdigest() != jar.sha256:
        raise Misconfigured(
            f"the downloaded {jar.file_name} has another checksum than the lock file",
            file=LOCK,
            mend="a proxy or mirror may change files: try another network or mirror",
        )
    fetched.replace(folder / jar.file_name)


class _Progress:
    """Reports every tenth file, which suits a log file better than a progress bar."""

    def __init__(self, files: int, report: Callable[[str], None], stopping: Event) -> None:
        self._files, self._report, self._stopping = files, report, stopping
        self._done = 0
        self._bytes = 0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def of_file(self, _name: str, _size_bytes: int) -> Generator[Callable[[int], None]]:
        yield self._add

    def _add(self, count: int) -> None:
        if self._stopping.is_set():
            raise StartInterrupted
        with self._lock:
            self._bytes += count

    def count_jar(self) -> None:
        self._done += 1
        if self._done % 10 == 0 or self._done == self._files:
            self._report(f"downloading Kafka: {self._done} of {self._files} files, {self._bytes / 1e6:.0f} MB")
