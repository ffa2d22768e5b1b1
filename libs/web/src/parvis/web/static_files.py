"""Loads static files and gives them URLs that change with their content, so that browsers can cache them forever."""

import hashlib
import mimetypes
from dataclasses import dataclass, field
from pathlib import Path

_SHARED_FILES = Path(__file__).parent / "static"


@dataclass(frozen=True)
class StaticFile:
    """The bytes of one file and its media type."""

    content: bytes
    media_type: str


@dataclass
class StaticFiles:
    """The static files of a service: the shared ones, its own and the town's `theme.css`, read once at start-up."""

    files: dict[str, StaticFile] = field(default_factory=dict[str, StaticFile])
    addresses: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def read(cls, *paths: Path) -> "StaticFiles":
        """Reads the shared files and those in `paths` (folders or files; a missing one is skipped)."""
        statics = cls()
        for path in (_SHARED_FILES, *paths):
            for file in sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []:
                statics._add(file)
        return statics

    def _add(self, file: Path) -> None:
        content = file.read_bytes()
        name = f"{file.stem}.{hashlib.sha256(content).hexdigest()[:12]}{file.suffix}"
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        self.files[name] = StaticFile(content, f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
        self.addresses[file.name] = f"/static/{name}"

    def url(self, name: str) -> str | None:
        """The URL of a file; None if there is no such file."""
        return self.addresses.get(name)
