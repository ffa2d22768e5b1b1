"""Tests the real nginx with the configuration of `deploy/nginx`, in front of servers that say what reached them."""

import json
import re
import shutil
import ssl
import subprocess
import threading
from collections.abc import Generator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from parvis.local.free_ports import FreePorts
from parvis.local.waiting import wait_until
from parvis.simulators.mail.certificate import tls_context
from tests.patience import PATIENCE_S

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = [pytest.mark.journey, pytest.mark.skipif(not NGINX, reason="nginx is not installed: make system")]
CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx" / "parvis.conf"
FORMS, REPLIES, DESK = (f"{name}.example-town.example" for name in ("demarches", "reponses", "guichet"))


class _Echo(BaseHTTPRequestHandler):
    """Answers with the request; /live-events sends a second line only after the client has read the first."""

    protocol_version = "HTTP/1.1"
    first_was_read = threading.Event()

    def do_GET(self) -> None:
        said = {"port": self.server.server_address[1], "path": self.path, "headers": dict(self.headers)}  # pyright: ignore[reportIndexIssue]
        if self.path == "/live-events":
            self.send_response(200)
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self._send_chunk(b"first\n")
            self.first_was_read.wait(PATIENCE_S)
            self._send_chunk(b"second\n")
            self._send_chunk(b"")
            return
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it)
        pass


@dataclass
class Proxy:
    """nginx in front of the echoes. `services`: the echo's port by the service's own port."""

    https: int
    http: int
    services: dict[int, int]
    log: Path
    trust: ssl.SSLContext

    def get(self, host: str, path: str, **headers: str) -> httpx.Response:
        with httpx.Client(verify=self.trust, timeout=PATIENCE_S) as client:
            url = f"https://127.0.0.1:{self.https}{path}"
            return client.get(url, headers={"host": host, **headers})


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Generator[Proxy]:
    folder, ports, text = tmp_path_factory.mktemp("nginx"), FreePorts(), CONFIGURATION.read_text(encoding="utf-8")
    echoes = {
        int(port): ThreadingHTTPServer(("127.0.0.1", 0), _Echo) for port in set(re.findall(r"127\.0\.0\.1:(\d+)", text))
    }
    for echo in echoes.values():
        threading.Thread(target=echo.serve_forever, daemon=True).start()
    services = {port: echo.server_address[1] for port, echo in echoes.items()}
    tls_context(folder / "town.pem", "127.0.0.1")  # makes the certificate
    https, http = ports.take(), ports.take()
    text = re.sub(r"127\.0\.0\.1:(\d+)", lambda port: f"127.0.0.1:{services[int(port[1])]}", text)
    text = re.sub(r"^ *listen \[::\].*\n", "", text, flags=re.MULTILINE)
    text = text.replace("listen 443", f"listen 127.0.0.1:{https}").replace("listen 80;", f"listen 127.0.0.1:{http};")
    text = re.sub(r"/etc/ssl/parvis/\w+\.(pem|key)", lambda name: str(folder / f"town.{name[1]}"), text)
    text = text.replace("/var/log/nginx/parvis.log", str(folder / "access.log"))
    temporary = "".join(
        f"{name}_temp_path {folder / name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder / 'pid'}; error_log {folder / 'error.log'}; "
        f"events {{}} http {{ {temporary}\n{text}\n}}\n",
        encoding="utf-8",
    )
    ports.release()
    command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    made = Proxy(https, http, services, folder / "access.log", ssl.create_default_context(cafile=folder / "town.pem"))
    try:
        assert wait_until(lambda: _answers(made) or process.poll() is not None, seconds=PATIENCE_S)
        assert process.poll() is None, (folder / "error.log").read_text(encoding="utf-8")
        yield made
    finally:
        process.terminate()
        process.wait(PATIENCE_S)
        for echo in echoes.values():
            echo.shutdown()
            echo.server_close()


def _answers(proxy: Proxy) -> bool:
    try:
        return proxy.get(FORMS, "/").status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    ("host", "path", "service"),
    [
        (FORMS, "/demarches/voirie", 8103),
        (FORMS, "/sms", 8101),
        (FORMS, "/sms/status?reply=x", 8101),
        (REPLIES, "/inbox/token", 8120),
        (REPLIES, "/unsubscribe/token", 8120),
        (DESK, "/queue?department=voirie", 8130),
    ],
)
def test_each_address_leads_to_its_service(proxy: Proxy, host: str, path: str, service: int) -> None:
    said = proxy.get(host, path).json()
    assert (said["port"], said["path"], said["headers"]["Host"]) == (proxy.services[service], path, host)


@pytest.mark.parametrize("host", [FORMS, REPLIES, DESK])
@pytest.mark.parametrize("path", ["/metrics", "/live", "/ready"])
def test_what_is_for_operators_is_not_reached_from_outside(proxy: Proxy, host: str, path: str) -> None:
    assert proxy.get(host, path).status_code == 404


def test_a_client_cannot_say_who_it_is(proxy: Proxy) -> None:
    forged = {
        "x-forwarded-for": "192.0.2.1",
        "x-forwarded-host": "evil.example",
        "forwarded": "for=192.0.2.1",
        "x-forwarded-proto": "http",
    }
    heard = {name.lower(): value for name, value in proxy.get(FORMS, "/", **forged).json()["headers"].items()}
    assert (heard["x-forwarded-for"], heard["x-forwarded-proto"]) == ("127.0.0.1", "https")
    assert not heard.keys() & {"x-forwarded-host", "forwarded"}


def test_plain_http_leads_to_https(proxy: Proxy) -> None:
    answer = httpx.get(f"http://127.0.0.1:{proxy.http}/demarches/voirie", headers={"host": FORMS})
    assert (answer.status_code, answer.headers["location"]) == (301, f"https://{FORMS}/demarches/voirie")


def test_the_log_has_no_token(proxy: Proxy) -> None:
    proxy.get(REPLIES, "/inbox/9f8e7d-secret?x=secret")
    assert wait_until(lambda: "/inbox/-" in proxy.log.read_text(encoding="utf-8"), seconds=PATIENCE_S)
    assert "secret" not in proxy.log.read_text(encoding="utf-8")


def test_live_lists_are_not_held_back(proxy: Proxy) -> None:
    with httpx.Client(verify=proxy.trust, timeout=PATIENCE_S) as client:
        url, head = f"https://127.0.0.1:{proxy.https}/live-events", {"host": DESK}
        with client.stream("GET", url, headers=head) as answer:
            rows = answer.iter_lines()
            assert next(rows) == "first"
            _Echo.first_was_read.set()
            assert next(rows) == "second"
