"""Reads what surrounds a stack: environment variables, installed services, the town's configuration, the cache folder."""

import os
import pkgutil
import sys
from collections.abc import Mapping
from pathlib import Path

import platformdirs

import parvis
from parvis.common.contract.errors import Misconfigured

_LIBRARIES = {"common", "web", "local", "simulators", "twilio"}


def current_environment() -> dict[str, str]:
    """All of it: `parvis up` honours what is set and hands it on."""
    return dict(os.environ)  # noqa: TID251 (a supervisor passes the environment on whole; services read theirs as settings)


def neutral_environment() -> dict[str, str]:
    """The same without anything of ours: tests start from nothing that was set around them."""
    return {name: value for name, value in current_environment().items() if not name.startswith("PARVIS_")}


def var_folder(given: Mapping[str, str]) -> Path:
    return Path(given.get("PARVIS_VAR") or "var").absolute()


def wants_fixed_ports(given: Mapping[str, str]) -> bool:
    """Raises: Misconfigured, when PARVIS_PORTS is neither of the two words."""
    wish = given.get("PARVIS_PORTS") or "fixed"
    if wish not in ("fixed", "free"):
        raise Misconfigured(f"PARVIS_PORTS is {wish!r}", mend="it is `fixed` or `free`")
    return wish == "fixed"


def cache_folder(given: Mapping[str, str]) -> Path:
    """Where this machine keeps what was fetched, for every clone and every test: PARVIS_CACHE, or the user's own."""
    return Path(given.get("PARVIS_CACHE") or platformdirs.user_cache_path("parvis"))


def installed_services() -> list[str]:
    """The packages under `parvis` that can be started: those with a `__main__`."""
    found: list[str] = []
    for module in pkgutil.iter_modules(parvis.__path__):
        folder = Path(getattr(module.module_finder, "path", "")) / module.name
        if module.ispkg and module.name not in _LIBRARIES and (folder / "__main__.py").is_file():
            found.append(module.name.replace("_", "-"))
    return sorted(found)


def config_dir() -> Path:
    """The example town: of the clone this code lies in, else below the current folder."""
    for root in (Path(__file__).resolve().parents[5], Path.cwd()):
        if (root / "config" / "example-town").is_dir():
            return root / "config" / "example-town"
    return Path.cwd() / "config" / "example-town"


def module_command(module: str) -> list[str]:
    return [sys.executable, "-m", module]


def parvis_command() -> list[str]:
    """`parvis` itself, of this very installation."""
    return [sys.executable, "-c", "from parvis.common.cli import main; main()"]
