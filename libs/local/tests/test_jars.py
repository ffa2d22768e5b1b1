"""Facts about fetching Kafka's files: whole or not at all, and a sentence when it fails."""

import hashlib
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from jgo.env._lockfile import compute_spec_hash  # pyright: ignore[reportPrivateImportUsage] (it has no public home)

from parvis.common.contract.errors import Misconfigured, Unavailable
from parvis.local.fakes_for_tests import FakeMavenRepository
from parvis.local.kafka import jars
from parvis.local.waiting import NEVER

CONTENT = b"not really a jar" * 1000
JAR = jars.Jar("org.example", "thing", "1.0", hashlib.sha256(CONTENT).hexdigest())
PATH = "/org/example/thing/1.0/thing-1.0.jar"


def test_the_lock_belongs_to_the_wish_list_and_names_no_address():
    text = jars.LOCK.read_text(encoding="utf-8")
    assert tomllib.loads(text)["metadata"]["spec_hash"] == compute_spec_hash(jars.LOCK.with_name("jgo.toml"))
    assert "http" not in text
    assert all(len(jar.sha256) == 64 for jar in jars.read_lock_file())


def test_the_lock_has_the_broker_its_client_and_the_binding_of_its_log():
    names = {jar.file_name for jar in jars.read_lock_file()}
    assert {"kafka_2.13-4.3.1.jar", "kafka-clients-4.3.1.jar", "log4j-slf4j-impl-2.25.4.jar"} <= names


def test_a_jar_is_fetched_and_checked(repository: FakeMavenRepository, tmp_path: Path):
    repository.files[PATH] = CONTENT
    told: list[str] = []
    jars.fetch_jars(tmp_path / "jars", [JAR], report=told.append)
    assert (tmp_path / "jars" / JAR.file_name).read_bytes() == CONTENT
    assert told == ["downloading Kafka: 1 of 1 files, 0 MB"]
    assert [file.name for file in (tmp_path / "jars").iterdir()] == [JAR.file_name]


def test_a_half_downloaded_jar_is_seen_and_fetched_again(repository: FakeMavenRepository, tmp_path: Path):
    repository.files[PATH] = CONTENT
    (tmp_path / JAR.file_name).write_bytes(CONTENT[:5000])
    assert jars.missing_jars(tmp_path, [JAR]) == [JAR]
    jars.fetch_jars(tmp_path, [JAR], report=lambda _: None)
    assert jars.missing_jars(tmp_path, [JAR]) == []


def test_a_file_that_is_not_the_one_of_the_lock_is_refused(repository: FakeMavenRepository, tmp_path: Path):
    repository.files[PATH] = b"<html>Please log in to the hotel's network</html>"
    with pytest.raises(Misconfigured, match=r"downloaded thing-1\.0\.jar has another checksum"):
        jars.fetch_jars(tmp_path, [JAR], report=lambda _: None)
    assert not (tmp_path / JAR.file_name).exists()


def test_a_repository_without_the_file_is_a_sentence(repository: FakeMavenRepository, tmp_path: Path):
    with pytest.raises(Unavailable, match="refused it"):
        jars.fetch_jars(tmp_path, [JAR], report=lambda _: None)


def test_no_network_is_a_sentence_with_the_way_out(use_repository: Callable[[str], None], tmp_path: Path):
    use_repository("http://127.0.0.1:1/maven")
    with pytest.raises(Unavailable, match=r"does not answer.*proxy.*PARVIS_KAFKA_BOOTSTRAP"):
        jars.fetch_jars(tmp_path, [JAR], report=lambda _: None)


def test_a_dead_proxy_is_the_same_sentence(
    use_repository: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    use_repository("http://repository.example/maven")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(Unavailable, match="does not answer"):
        jars.fetch_jars(tmp_path, [JAR], report=lambda _: None, stopping=NEVER)
