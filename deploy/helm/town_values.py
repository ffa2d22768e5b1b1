#!/usr/bin/env python3
"""Prints a town's folder as values of the chart: town.config.files, with each file under its path."""

import argparse
import sys
from pathlib import Path

import yaml

_LARGEST_BYTES = 900 * 1024  # a ConfigMap may have 1 MiB, including its keys and metadata


def files_of(folder: Path) -> dict[str, str]:
    """Map the path of each file that is not hidden to its text.

    Raises: ValueError, if town.yaml is missing, a file is not UTF-8 text, or all together exceed the size of a ConfigMap.
    """
    if not (folder / "town.yaml").is_file():
        msg = f"{folder} is not a town's folder: town.yaml is missing"
        raise ValueError(msg)
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(part.startswith(".") for part in name.split("/")):
            try:
                found[name] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                msg = f"{path} is not UTF-8 text"
                raise ValueError(msg) from error
    size_bytes = sum(len(text.encode()) for text in found.values())
    if size_bytes > _LARGEST_BYTES:
        msg = f"{folder} has {size_bytes} bytes, but a ConfigMap holds at most {_LARGEST_BYTES}: mount a volume instead"
        raise ValueError(msg)
    return found


def values(folder: Path) -> str:
    """The text of a values file."""
    return yaml.safe_dump(
        {"town": {"config": {"files": files_of(folder)}}}, allow_unicode=True, sort_keys=True, default_style="|"
    )


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    try:
        sys.stdout.write(values(arguments.parse_args().folder))
    except ValueError as error:
        sys.stderr.write(f"town_values: {error}\n")
        return 78
    return 0


if __name__ == "__main__":
    sys.exit(main())
