"""F-58: town.yaml is broken while a town runs, and one of its services is killed; then the file is mended."""

import asyncio
import shutil
from pathlib import Path

from parvis.local import host_environment
from parvis.local.readiness import is_ready
from parvis.local.stack import Stack
from tests.faults.oracle import Verdict
from tests.faults.scenario import OwnTownScenario, Workspace, start_town
from tests.patience import PATIENCE_S

KILLED, OTHERS = "desk", ("ingest-web", "router")


async def run(workspace: Workspace, full: bool) -> Verdict:
    verdict, config = Verdict(), workspace.folder / "config"
    shutil.copytree(host_environment.config_dir(), config)
    with start_town(workspace, [KILLED, *OTHERS], PARVIS_CONFIG_DIR=str(config)) as (stack, _log):
        town = config / "town.yaml"
        sound, pids = town.read_bytes(), {name: stack.pid(name) for name in OTHERS}
        town.write_text("name: [\n")
        await asyncio.to_thread(stack.kill, KILLED)
        verdict.expect(await _wait_for(stack, "misconfigured"), f"{KILLED} did not say that town.yaml is broken")
        await asyncio.sleep(60 if full else 1)
        _check_others(stack, verdict, pids)
        town.write_bytes(sound)
        await asyncio.to_thread(stack.wait_ready, KILLED, seconds=PATIENCE_S)
        _check_others(stack, verdict, pids)
    return verdict


def _check_others(stack: Stack, verdict: Verdict, pids: dict[str, int]) -> None:
    for name, pid in pids.items():
        verdict.expect(stack.pid(name) == pid, f"{name} was started again")
        verdict.expect(is_ready(stack.port(name)), f"{name} is not ready")
    verdict.expect(stack.failure is None, f"the town ends: {stack.failure}")


async def _wait_for(stack: Stack, word: str) -> bool:
    for _ in range(int(PATIENCE_S * 10)):
        if word in Path(stack.log(KILLED)).read_text(errors="replace"):
            return True
        await asyncio.sleep(0.1)
    return False


SCENARIO = OwnTownScenario(
    "F-58",
    "`town.yaml` is broken for a minute and one service of `parvis up` is killed",
    "the others stay up and ready; the service returns after the file is mended",
    run,
)
