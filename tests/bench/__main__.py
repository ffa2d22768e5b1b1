"""`make bench [BENCH=name]`: run a benchmark, print its table, write var/bench/<name>.json."""

import asyncio
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench import latency, letters, mail_door, sms_door
from tests.bench.measure import Bench, Measure

BENCHES: dict[str, Bench] = {
    "latency": latency.BENCH,
    "letters": letters.BENCH,
    "sms-door": sms_door.BENCH,
    "mail-door": mail_door.BENCH,
}


def rows(measures: Sequence[Measure]) -> list[dict[str, Any]]:
    """One row a contender and metric: the median of its rounds, and their range."""
    found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for measure in measures:
        found[measure.contender, measure.metric, measure.unit].append(measure.value)
    return [
        {
            "contender": contender, "metric": metric, "unit": unit, "median": round(statistics.median(values), 2),
            "min": round(min(values), 2), "max": round(max(values), 2), "runs": len(values),
        }
        for (contender, metric, unit), values in found.items()
    ]  # fmt: skip


def show(table: Sequence[dict[str, Any]]) -> None:
    print(f"{'contender':<22}{'metric':<34}{'median':>10}{'min':>10}{'max':>10}  unit  runs")
    for row in table:
        print(
            f"{row['contender']:<22}{row['metric']:<34}{row['median']:>10}{row['min']:>10}{row['max']:>10}"
            f"  {row['unit']:<4}  {row['runs']}"
        )


def main(names: Sequence[str]) -> int:
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        sys.stderr.write(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHES)}\n")
        return 2
    for name in names or BENCHES:
        folder = Path("var/bench")
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{name}: {BENCHES[name].question}", flush=True)
        table = rows(asyncio.run(BENCHES[name].run(folder / name)))
        (folder / f"{name}.json").write_text(json.dumps(table, indent=2))
        show(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
