"""Checks the Helm chart: its schema, its refusals, and every object that its scenarios render."""

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from checks import objects
from checks.dockerfile import services
from checks.tools import helm, program, run

_ROOT = Path(__file__).resolve().parents[2]
_CHART = _ROOT / "deploy" / "helm" / "parvis"
_TOWN = _ROOT / "config" / "example-town"
SCENARIOS = sorted(_CHART.glob("ci/*-values.yaml"))
_OPTIONAL = {"global", "cpu", "memory", "ephemeral-storage"}  # Helm's own; and amounts that need not be limited
# Settings that must be refused (wrong key, wrong value, missing requirement), each with a word of the error message.
_REFUSED = (
    ("ingestSms.replica=2", "replica"),
    ("router.replicas=two", "replicas"),
    ("kafka.bootstrap=kafka", "bootstrap"),
    ("router.keda.minReplicas=0", "minReplicas"),
    ("ingestPostal.replicas=2", "replicas"),
    ("blobs.url=file:///data", "url"),
    ("router.env.PARVIS_ROUTER_HOST=::", "PARVIS_ROUTER_HOST is set by the chart"),
    ("dkim.selectors={s2026}", "dkim.existingSecret is needed"),
    ("secrets.existingSecret=", "secrets.existingSecret is needed"),
    ("town.config.existingConfigMap=", "town's configuration is needed"),
)


def lint() -> Iterator[str]:
    for scenario in SCENARIOS:
        done = run(helm(), "lint", "--strict", "--quiet", _CHART, "--values", scenario)
        if done.returncode:
            yield f"{scenario.name}: {done.stdout}{done.stderr}"


def schema() -> Iterator[str]:
    """Compare the keys of values.yaml with those of values.schema.json."""
    described = json.loads((_CHART / "values.schema.json").read_text(encoding="utf-8"))
    given = yaml.safe_load((_CHART / "values.yaml").read_text(encoding="utf-8"))
    yield from _differences(given, described, described["definitions"], "")


def refusals() -> Iterator[str]:
    for setting, word in _REFUSED:
        done = _template(_CHART / "ci" / "object-store-values.yaml", "--set", setting)
        if done.returncode == 0:
            yield f"--set {setting} is not refused"
        elif word not in done.stderr:
            yield f"--set {setting} is refused without saying {word!r}: {done.stderr.strip()}"


def rendered() -> Iterator[str]:
    for scenario in SCENARIOS:
        done = _template(scenario)
        if done.returncode:
            yield f"{scenario.name}: {done.stderr.strip()}"
            continue
        yield from (f"{scenario.name}: {problem}" for problem in objects.problems(_objects(done.stdout)))


def parts() -> Iterator[str]:
    """Find services of the repository that the chart lacks."""
    done = _template(_CHART / "ci" / "volumes-values.yaml")
    found = {
        thing["metadata"]["labels"]["app.kubernetes.io/component"]
        for thing in _objects(done.stdout)
        if thing["kind"] == "Deployment"
    }
    yield from (
        f"{name}: not in templates/_parts.tpl, or not in ci/volumes-values.yaml"
        for name in services()
        if name not in found
    )


def pages() -> Iterator[str]:
    """Compare the paths that each Ingress forwards with the routes of its service."""
    sources = {"ingest-web": ("services/ingest-web/src", "libs/web/src"), "ingest-sms": ("services/ingest-sms/src",)}
    for thing in _objects(_template(_CHART / "ci" / "volumes-values.yaml").stdout):
        door = thing["metadata"]["labels"]["app.kubernetes.io/component"]
        if thing["kind"] != "Ingress":
            continue
        forwarded = {path["path"]: path["pathType"] for path in thing["spec"]["rules"][0]["http"]["paths"]}
        there = {page for folder in sources[door] for page in _addresses(_ROOT / folder)}
        for page in there:
            if not any(
                page == path or (kind == "Prefix" and page.startswith(f"{path}/")) for path, kind in forwarded.items()
            ):
                yield f"{door}: {page} is not forwarded: add it to paths in templates/_parts.tpl"
        for path in forwarded:
            if not any(page == path or page.startswith(f"{path}/") for page in there):
                yield f"{door}: {path} is forwarded, but the service has no such page"


_MOUNTS = {"open311_api.py": "/open311/v2"}


def _addresses(folder: Path) -> set[str]:
    """The routes in a folder's code; those in `api/` are mounted at /api, and Open311's where its clients look for a version."""
    route = re.compile(r"""(?:@\w+\.(?:get|post)|\.add_route)\(\s*"(/[^"]*)\"""")
    return {
        _MOUNTS.get(file.name, "/api" if file.parent.name == "api" else "") + address
        for file in folder.rglob("*.py")
        for address in route.findall(file.read_text(encoding="utf-8"))
    }


def town() -> Iterator[str]:
    """Check the example town after a round trip through its ConfigMap, mounted as the kubelet does."""
    made = run(program("python"), _CHART.parent / "town_values.py", _TOWN)
    if made.returncode:
        yield made.stderr.strip()
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "town-values.yaml").write_text(made.stdout, encoding="utf-8")
        done = _template(
            _CHART / "ci" / "object-store-values.yaml",
            "--set", "town.config.existingConfigMap=", "--values", folder / "town-values.yaml",
        )  # fmt: skip
        if done.returncode:
            yield f"the example town cannot be rendered: {done.stderr.strip()}"
            return
        objects.mount(_objects(done.stdout), "router", "town", folder / "config")
        checked = run(program("parvis"), "config", "check", folder / "config")
        if checked.returncode:
            yield f"the mounted town is invalid: {checked.stdout}{checked.stderr}"


def unvalidated() -> list[str]:
    """The rendered kinds that have no schema here."""
    kinds: set[str] = set()
    for scenario in SCENARIOS:
        kinds |= {thing["kind"] for thing in _objects(_template(scenario).stdout) if not objects.has_schema(thing)}
    return sorted(kinds)


def _template(values: Path, *more: str | Path) -> Any:
    return run(helm(), "template", "town", _CHART, "--values", values, "--kube-version", objects.OLDEST, *more)


def _objects(text: str) -> list[dict[str, Any]]:
    return [thing for thing in yaml.safe_load_all(text) if thing]


def _differences(given: Any, described: Any, definitions: Any, place: str) -> Iterator[str]:
    described = definitions[described["$ref"].rpartition("/")[2]] if "$ref" in described else described
    known = described.get("properties")
    if known is None or not isinstance(given, dict):
        return
    yield from (
        f"values.yaml lacks {place}{key}, which the schema has" for key in known.keys() - given.keys() - _OPTIONAL
    )
    yield from (f"the schema lacks {place}{key}" for key in given.keys() - known.keys())
    for key in given.keys() & known.keys():
        yield from _differences(given[key], known[key], definitions, f"{place}{key}.")
