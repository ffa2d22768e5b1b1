"""Reads the environment of a stack: variables, installed services, the town's configuration, the cache folder."""

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
    """Give the whole environment, which `parvis up` uses and passes on to the services."""
    return dict(os.environ)  # noqa: TID251 (a supervisor passes on the whole environment; services read theirs as settings)


def neutral_environment() -> dict[str, str]:
    """Give the environment without PARVIS_* variables, so that they cannot influence tests."""
    return {name: value for name, value in current_environment().items() if not name.startswith("PARVIS_")}


def var_folder(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("PARVIS_VAR") or "var").absolute()


def wants_fixed_ports(environment: Mapping[str, str]) -> bool:
    """Whether services use their fixed ports. Raises: Misconfigured, when PARVIS_PORTS is invalid."""
    ports = environment.get("PARVIS_PORTS") or "fixed"
    if ports not in ("fixed", "free"):
        raise Misconfigured(
            f"PARVIS_PORTS must be `fixed` or `free`, got {ports!r}", mend="change it, or unset it for `fixed`"
        )
    return ports == "fixed"


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Give the folder of downloaded files, shared by all clones and tests: PARVIS_CACHE, or the user's cache folder."""
    return Path(environment.get("PARVIS_CACHE") or platformdirs.user_cache_path("parvis"))


def installed_services() -> list[str]:
    """List the packages under `parvis` that have a `__main__`."""
    services: list[str] = []
    for module in pkgutil.iter_modules(parvis.__path__):
        folder = Path(getattr(module.module_finder, "path", "")) / module.name
        if module.ispkg and module.name not in _LIBRARIES and (folder / "__main__.py").is_file():
            services.append(module.name.replace("_", "-"))
    return sorted(services)


def config_dir() -> Path:
    """Find the example town, in the clone that contains this code, else below the current folder."""
    for root in (Path(__file__).resolve().parents[5], Path.cwd()):
        if (root / "config" / "example-town").is_dir():
            return root / "config" / "example-town"
    return Path.cwd() / "config" / "example-town"


def module_command(module: str) -> list[str]:
    return [sys.executable, "-m", module]


def parvis_command() -> list[str]:
    """Give the command line of this installation's `parvis`."""
    return [sys.executable, "-c", "from parvis.common.cli import main; main()"]
