"""Runs a benchmark (`make bench [BENCH=name]`), prints its table and writes var/bench/<name>.json."""

import asyncio
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench import desk, latency, letters, mail_door, notifier, sms_door
from tests.bench.measure import Bench, Incomplete, Measure
from tests.bench.router import ablation, growth, throughput
from tests.bench.router import latency as router_latency

BENCHES: dict[str, Bench] = {
    "desk": desk.BENCH,
    "latency": latency.BENCH,
    "letters": letters.BENCH,
    "sms-door": sms_door.BENCH,
    "mail-door": mail_door.BENCH,
    "notifier": notifier.BENCH,
    "router": throughput.BENCH,
    "router-latency": router_latency.BENCH,
    "router-growth": growth.BENCH,
    "router-ablation": ablation.BENCH,
}


def rows(measures: Sequence[Measure]) -> list[dict[str, Any]]:
    """Build one row for each contender and metric: the median of its rounds, and their range."""
    found: dict[tuple[str, str, str, int], list[float]] = defaultdict(list)
    for measure in measures:
        found[measure.contender, measure.metric, measure.unit, measure.events].append(measure.value)
    return [
        {
            "contender": contender, "metric": metric, "unit": unit, "median": round(statistics.median(values), 2),
            "min": round(min(values), 2), "max": round(max(values), 2), "runs": len(values),
            **({"events": events} if events else {}),
        }
        for (contender, metric, unit, events), values in found.items()
    ]  # fmt: skip


def show(table: Sequence[dict[str, Any]]) -> None:
    print(f"{'contender':<52}{'metric':<44}{'median':>10}{'min':>10}{'max':>10}  unit  runs  events")
    for row in table:
        print(
            f"{row['contender']:<52}{row['metric']:<44}{row['median']:>10}{row['min']:>10}{row['max']:>10}"
            f"  {row['unit']:<4}  {row['runs']}     {row.get('events', '')}"
        )


def main(names: Sequence[str]) -> int:
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        sys.stderr.write(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHES)}\n")
        return 2
    failed = False
    for name in names or BENCHES:
        folder = Path("var/bench")
        folder.mkdir(parents=True, exist_ok=True)
        print(f"{name}: {BENCHES[name].question}", flush=True)
        try:
            table = rows(asyncio.run(BENCHES[name].run(folder / name)))
        except Incomplete as incomplete:
            failed, table = True, rows(incomplete.measures)
            sys.stderr.write("".join(f"{name}: {reason}\n" for reason in incomplete.reasons))
        (folder / f"{name}.json").write_text(json.dumps(table, indent=2))
        show(table)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("stopped")
