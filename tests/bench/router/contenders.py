"""Lists the contenders: how each is started, and the records and rows that it must produce."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.bench.router import installing
from tests.bench.router.installing import PEERS

ROOT = Path(__file__).parents[3]
_FACTS = Path(__file__).with_name("route12.json")


@dataclass(frozen=True)
class Contender:
    """`part` is the share of the events that a slow contender gets. `notices`, `rows`: whether it must produce them.

    environment: settings of its own.
    """

    name: str
    kind: Literal["parvis", "python", "java"]
    program: Sequence[str]
    part: float = 1.0
    decides: bool = True
    notices: bool = False
    rows: bool = False
    workers: int = 1
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


CONTENDERS = (
    Contender("parvis", "parvis", ("parvis.router",), notices=True, rows=True),
    Contender(
        "parvis-without-danger-model",
        "parvis",
        ("parvis.router",),
        notices=True,
        rows=True,
        environment={"PARVIS_ROUTER_DANGER_MODEL": "false"},
    ),
    Contender("parvis-decisions", "parvis", ("tests.bench.router.parts", "decisions"), rows=True),
    Contender("parvis-without-rows", "parvis", ("tests.bench.router.parts", "without-rows")),
    Contender("parvis-two-workers", "parvis", ("parvis.router",), notices=True, rows=True, workers=2),
    Contender("plain", "python", ("plain.py",)),
    Contender("faststream", "python", ("faststream_one.py",), part=1 / 40),
    Contender("faststream-batch", "python", ("faststream_batch.py",)),
    Contender("quixstreams", "python", ("quix.py",)),
    Contender("kafka-streams", "java", ()),
    Contender("floor-passthrough", "python", ("passthrough.py",), decides=False),
)


def command(contender: Contender, *, bootstrap: str, prefix: str, group: str, var: Path) -> list[str]:
    """The command line of a contender.

    Raises: Missing, when it is not available here.
    """
    arguments = [bootstrap, prefix, group]
    if contender.kind == "parvis":
        return [sys.executable, "-m", *contender.program]
    if contender.kind == "python":
        script, *rest = contender.program
        return [str(installing.python_of_peers(var)), str(PEERS / script), *rest, *arguments]
    return [*installing.streams_command(var), *arguments, str(_FACTS), str(var / "streams-state")]
