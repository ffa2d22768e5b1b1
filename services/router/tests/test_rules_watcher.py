"""Facts about rules files that change while the router runs: a valid one is loaded, an invalid one refused and reported."""

import shutil
from pathlib import Path

import pytest

from parvis.common.contract.errors import Misconfigured
from parvis.common.runtime.health import Health
from parvis.common.town.loading import load_town_config
from parvis.router.fetch.rules_watcher import RulesWatcher

EXAMPLE = Path(__file__).parents[3] / "config" / "example-town"
_RULE = "rules:\n  - {{id: {id}, when: {{channel: sms}}, then: {{department: {department}}}}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(EXAMPLE, tmp_path / "town")
    return tmp_path / "town"


def write(folder: Path, rule: str, department: str = "voirie") -> None:
    (folder / "rules.yaml").write_text(_RULE.format(id=rule, department=department))


async def test_a_changed_file_is_loaded_once_it_stops_changing(folder: Path) -> None:
    health = Health()
    rules = RulesWatcher(folder, load_town_config(folder), health)
    first = rules()
    write(folder, "changed")
    await rules.poll()
    assert rules() is first  # an editor may still be saving
    await rules.poll()
    assert [rule.id for rule in rules().rules] == ["changed"]
    assert health.notes == {}


async def test_an_invalid_file_is_refused_and_reported_until_it_is_corrected(folder: Path) -> None:
    health = Health()
    rules = RulesWatcher(folder, load_town_config(folder), health)
    first = rules()
    write(folder, "changed", department="nowhere")
    for _ in range(3):
        await rules.poll()
    assert rules() is first
    assert "nowhere" in health.notes["rules"]
    assert health.is_ready  # the router goes on with the previous rules
    (folder / "rules.yaml").unlink()
    for _ in range(2):
        await rules.poll()
    assert rules() is first
    assert health.notes["rules"]
    write(folder, "mended")
    for _ in range(2):
        await rules.poll()
    assert [rule.id for rule in rules().rules] == ["mended"]
    assert health.notes == {}


def test_a_router_without_valid_rules_does_not_start(folder: Path) -> None:
    write(folder, "changed", department="nowhere")
    with pytest.raises(Misconfigured, match="nowhere"):
        RulesWatcher(folder, load_town_config(folder), Health())


@pytest.mark.parametrize("name", ["rules.yaml", "territory.yaml"])
@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"rules: [", b"[" * 20_000, b"- a: !!python/object:x {}", None])
async def test_an_unreadable_file_leaves_the_previous_rules_active(
    folder: Path, name: str, content: bytes | None
) -> None:
    health = Health()
    rules = RulesWatcher(folder, load_town_config(folder), health)
    first = rules()
    (folder / name).unlink(missing_ok=True)
    if content is None:
        (folder / name).mkdir()  # not a file at all
    else:
        (folder / name).write_bytes(content)
    for _ in range(3):
        await rules.poll()
    assert rules() is first
    assert name in health.notes["rules"]
