"""Checks rendered Kubernetes objects: schema, security context, variables and references to each other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
from kubernetes_validate import SchemaNotFoundError, ValidationError

from checks import settings

OLDEST, NEWEST = "1.30", "1.37"  # of Chart.yaml, and of the available schemas
Thing = dict[str, Any]


def problems(things: list[Thing]) -> Iterator[str]:
    for thing in things:
        yield from (
            f"{name_of(thing)}: {problem}"
            for problem in (*_schema_errors(thing), *_security_problems(thing), *_variables(thing))
        )
    yield from _names(things)
    yield from _references(things)


def has_schema(thing: Thing) -> bool:
    try:
        kubernetes_validate.validate(thing, NEWEST, strict=True)
    except SchemaNotFoundError:
        return False
    except ValidationError:
        return True
    return True


def name_of(thing: Thing) -> str:
    return f"{thing['kind']} {thing['metadata']['name']}"


def mount(things: list[Thing], component: str, volume: str, folder: Path) -> None:
    """Write a ConfigMap as the kubelet does: files in a hidden folder, and symbolic links to them."""
    pod = next(_pod(thing) for thing in things if thing["kind"] == "Deployment" and _component(thing) == component)
    source = next(entry["configMap"] for entry in pod["volumes"] if entry["name"] == volume)
    texts = next(thing for thing in things if name_of(thing) == f"ConfigMap {source['name']}")["data"]
    hidden = folder / "..2026_01_01"
    for item in source["items"]:
        file = hidden / item["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(texts[item["key"]], encoding="utf-8")
    (folder / "..data").symlink_to(hidden.name)
    for path in hidden.iterdir():
        (folder / path.name).symlink_to(f"..data/{path.name}")


def _schema_errors(thing: Thing) -> Iterator[str]:
    for version in (OLDEST, NEWEST):
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except SchemaNotFoundError:
            return
        except ValidationError as error:
            yield f"{'.'.join(str(part) for part in error.path)}: {error.message} (Kubernetes {version})"


def _security_problems(thing: Thing) -> Iterator[str]:
    """Check the Pod Security level `restricted` and our stricter rules."""
    pod = _pod(thing)
    if thing["kind"] == "Secret":
        yield "the chart must not render a Secret"
    if not pod:
        return
    if pod.get("automountServiceAccountToken") is not False:
        yield "mounts a service account token"
    wanted = pod["securityContext"]
    if not wanted.get("runAsNonRoot") or wanted.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "may run as root, or without a seccomp profile"
    for container in (*pod.get("initContainers", []), *pod["containers"]):
        held = container["securityContext"]
        if (
            held["capabilities"] != {"drop": ["ALL"]}
            or held["allowPrivilegeEscalation"]
            or not held["readOnlyRootFilesystem"]
        ):
            yield f"container {container['name']} keeps capabilities, may gain privileges, or has a writable root"
        if "memory" not in container["resources"].get("limits", {}) or "cpu" not in container["resources"]["requests"]:
            yield f"container {container['name']} has no memory limit or no CPU request"
        for variable in container["env"]:
            if variable["name"].endswith(("KEY", "TOKEN", "PASSWORD", "DATABASE_URL")) and "value" in variable:
                yield f"the secret {variable['name']} is written in the object"


def _variables(thing: Thing) -> Iterator[str]:
    pod = _pod(thing)
    if not pod:
        return
    service = _component(thing)
    for container in pod["containers"]:
        given = {variable["name"] for variable in container["env"]}
        if len(given) < len(container["env"]):
            yield "a variable is set twice"
        known_as = "operator" if service == "prepare" else service
        yield from settings.problems(known_as, given, more_may_come="envFrom" in container)


def _names(things: list[Thing]) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    for thing in things:
        key = (thing["kind"], thing["metadata"]["name"])
        if key in seen:
            yield f"{name_of(thing)} is rendered twice"
        seen.add(key)


def _references(things: list[Thing]) -> Iterator[str]:
    """Check that every reference from one object to another resolves."""
    deployments = {thing["metadata"]["name"]: thing for thing in things if thing["kind"] == "Deployment"}
    for thing in things:
        kind, spec = thing["kind"], thing.get("spec", {})
        if kind in ("Service", "PodDisruptionBudget"):
            selector = spec["selector"] if kind == "Service" else spec["selector"]["matchLabels"]
            selected = [
                deployment for deployment in deployments.values() if selector.items() <= _labels(deployment).items()
            ]
            if len(selected) != 1:
                yield f"{name_of(thing)} selects {len(selected)} Deployments"
            elif kind == "Service":
                yield from _ports(thing, selected[0])
        if kind in ("ScaledObject", "HorizontalPodAutoscaler"):
            target = deployments.get(spec["scaleTargetRef"]["name"])
            if target is None or "replicas" in target["spec"]:
                yield f"{name_of(thing)} targets a missing Deployment, or one that sets its own replicas"
        if kind in ("Ingress", "HTTPRoute"):
            backs = _backends(spec)
            services = {other["metadata"]["name"] for other in things if other["kind"] == "Service"}
            yield from (f"{name_of(thing)} refers to the missing Service {name}" for name in backs - services)
    for name, thing in deployments.items():
        yield from (f"Deployment {name}: {problem}" for problem in _volumes(thing, things))


def _ports(service: Thing, deployment: Thing) -> Iterator[str]:
    there = {port["name"] for container in _pod(deployment)["containers"] for port in container.get("ports", [])}
    for port in service["spec"]["ports"]:
        if port["targetPort"] not in there:
            yield f"{name_of(service)} refers to the missing port {port['targetPort']}"


def _backends(spec: Thing) -> set[str]:
    if "parentRefs" in spec:
        return {back["name"] for rule in spec["rules"] for back in rule["backendRefs"]}
    return {path["backend"]["service"]["name"] for rule in spec["rules"] for path in rule["http"]["paths"]}


def _volumes(deployment: Thing, things: list[Thing]) -> Iterator[str]:
    pod = _pod(deployment)
    mounted = {place["name"] for container in pod["containers"] for place in container["volumeMounts"]}
    if mounted != {volume["name"] for volume in pod["volumes"]}:
        yield "its volumes and its volumeMounts differ"
    there = {name_of(thing) for thing in things}
    release = _labels(deployment)["app.kubernetes.io/instance"]
    for volume in pod["volumes"]:
        claim = volume.get("persistentVolumeClaim", {}).get("claimName", "")
        if claim.startswith(f"{release}-") and f"PersistentVolumeClaim {claim}" not in there:
            yield f"mounts the missing claim {claim}"


def _pod(thing: Thing) -> Thing:
    return thing["spec"]["template"]["spec"] if thing["kind"] in ("Deployment", "Job") else {}


def _labels(thing: Thing) -> dict[str, str]:
    return thing["spec"]["template"]["metadata"]["labels"]


def _component(thing: Thing) -> str:
    return thing["metadata"]["labels"]["app.kubernetes.io/component"]
