"""Folders, ledgers and repositories of a test's own."""

import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from parvis.local import host_environment
from parvis.local.console import quiet_console
from parvis.local.fakes_for_tests import FakeMavenRepository, FakeServices, serving_repository
from parvis.local.kafka.installation import KafkaInstallation, ensure_installed
from parvis.local.process_registry import ProcessRegistry


@pytest.fixture
def fakes(tmp_path: Path) -> FakeServices:
    return FakeServices(tmp_path / "fakes")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[ProcessRegistry]:
    made = ProcessRegistry(tmp_path / "processes.jsonl")
    yield made
    made.end_leftovers(patience_s=0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may pass through, unlike pytest's own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(scope="session")
def installation() -> KafkaInstallation:
    """This machine's Kafka, fetched if it is not there yet."""
    return ensure_installed(host_environment.cache_folder(host_environment.current_environment()), report=quiet_console)


@pytest.fixture
def use_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Tell jgo to use this repository in place of the public one."""

    def name(url: str) -> None:
        settings = tmp_path / "jgo.conf"
        settings.write_text(f"[repositories]\nmirror = {url}\n", encoding="utf-8")
        monkeypatch.setenv("JGO_CONFIG_FILE", str(settings))

    return name


@pytest.fixture
def repository(use_repository: Callable[[str], None]) -> Generator[FakeMavenRepository]:
    with serving_repository() as made:
        use_repository(made.url)
        yield made
