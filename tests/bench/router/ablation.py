"""Measures what each piece of the router's speed saves: its processor time with all of them, and without one."""

from collections.abc import Sequence
from pathlib import Path

from tests.bench.measure import Bench, Measure
from tests.bench.router.contenders import CONTENDERS, Contender
from tests.bench.router.throughput import EVENTS, Competition
from tests.bench.router.town import Town
from tests.bench.router.without import PIECES

WHOLE = CONTENDERS[0]
WITHOUT = tuple(
    Contender(f"without-{piece}", "parvis", ("tests.bench.router.without", piece), notices=True, rows=True)
    for piece in PIECES
)


async def run(folder: Path) -> Sequence[Measure]:
    async with Town.start(folder) as town:
        measures = await Competition(town, folder / "rounds.jsonl", contenders=(WHOLE, *WITHOUT)).run()
    return [*measures, *_ratios(measures)]


def _ratios(measures: Sequence[Measure]) -> list[Measure]:
    """The time of the router, and of Kafka, PostgreSQL and the router together, without a piece, divided by that of the whole."""
    ratios: list[Measure] = []
    for contender in WITHOUT:
        for name, metrics in (("router", _ROUTER), ("router, Kafka and PostgreSQL", _ALL)):
            pairs = zip(_times(measures, contender.name, metrics), _times(measures, WHOLE.name, metrics), strict=False)
            ratios += [Measure(contender.name, f"processor time of {name}", "", a / b) for a, b in pairs]
    return ratios


_ROUTER = ("cpu_s_per_100k",)
_ALL = ("cpu_s_per_100k", "kafka_cpu_s_per_100k", "postgres_cpu_s_per_100k")


def _times(measures: Sequence[Measure], contender: str, metrics: Sequence[str]) -> list[float]:
    rounds = [[m.value for m in measures if (m.contender, m.metric) == (contender, metric)] for metric in metrics]
    return [sum(values) for values in zip(*rounds, strict=True)]


BENCH = Bench(f"what each piece of the router's speed saves, over {EVENTS} contacts of route-12", run)
