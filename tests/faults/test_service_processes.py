"""Tests the supervision of a service’s processes, with commands that stand for the service."""

import asyncio
import sys
from pathlib import Path

import psutil

from tests.faults.service_processes import ServiceProcesses
from tests.patience import PATIENCE_S

EXITS = (sys.executable, "-c", "raise SystemExit(1)")
STAYS = (sys.executable, "-c", "import time; time.sleep(600)")


async def test_a_router_that_was_launched_while_its_restart_was_due_runs_once(tmp_path: Path):
    routers = ServiceProcesses({}, tmp_path, command=EXITS)
    async with routers.running(0):
        routers.launch(1)
        async with asyncio.timeout(PATIENCE_S):
            while not routers.unexpected_exits:
                await asyncio.sleep(0.01)
        await routers.stop(1)
        routers.command = STAYS
        routers.launch(1)
        await asyncio.sleep(1)

        assert len(_children(STAYS)) == 1


def _children(command: tuple[str, ...]) -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if child.cmdline() == list(command)]
