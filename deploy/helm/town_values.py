#!/usr/bin/env python3
"""A town's folder in, the chart's values out: town.config.files, each file under its path."""

import argparse
import sys
from pathlib import Path

import yaml

_LARGEST_BYTES = 900 * 1024  # a ConfigMap may have 1 MiB, its keys and the object around them included


def files_of(folder: Path) -> dict[str, str]:
    """Path below the folder → text, of everything that is no hidden file.

    Raises: ValueError, the folder has no town.yaml, a file is no text, or all together are more than a ConfigMap takes.
    """
    if not (folder / "town.yaml").is_file():
        msg = f"{folder} is no town's folder: it has no town.yaml"
        raise ValueError(msg)
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(part.startswith(".") for part in name.split("/")):
            try:
                found[name] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                msg = f"{path} is no UTF-8 text"
                raise ValueError(msg) from error
    size_bytes = sum(len(text.encode()) for text in found.values())
    if size_bytes > _LARGEST_BYTES:
        msg = f"{folder} has {size_bytes} bytes, and a ConfigMap takes {_LARGEST_BYTES}: mount a volume instead"
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
