"""Provides fake services and a Maven repository on the loopback, for tests of the stack."""

import http.server
import textwrap
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

FAKE = """
    import http.server, os, signal, sys
    name = {name!r}
    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/ready" else 404)
            self.end_headers()
        def log_message(self, *_):
            pass
    signal.signal(signal.SIGTERM, lambda *_: (print(name, "drained", flush=True), os._exit(0)))
    {before}
    print(name, "started", flush=True)
    port = int(os.environ["PARVIS_" + name.upper().replace("-", "_") + "_PORT"])
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Pages).serve_forever()
"""


@dataclass
class FakeServices:
    """A folder of services that do nothing but say that they are ready."""

    folder: Path
    names: list[str] = field(default_factory=list[str])

    def add(self, name: str, before: str = "") -> str:
        package = self.folder / "parvis" / name.replace("-", "_")
        package.mkdir(parents=True)
        text = textwrap.dedent(FAKE).format(name=name, before=before)
        (package / "__main__.py").write_text(text, encoding="utf-8")
        (package / "__init__.py").write_text("", encoding="utf-8")
        self.names.append(name)
        return name

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.folder)}


@dataclass
class MavenRepository:
    """What a Maven repository answers: a path's bytes, or 404."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    asked: list[str] = field(default_factory=list[str])


@contextmanager
def serving_repository() -> Generator[MavenRepository]:
    """Answer what is in `files` until the block ends."""
    made = MavenRepository("")

    class Pages(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            body = made.files.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
