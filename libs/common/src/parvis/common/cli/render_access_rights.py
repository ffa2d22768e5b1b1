"""Renders Kafka's access rights as a text, as commands of Kafka's own tool, as JSON and as Strimzi's KafkaUser objects. Pure; no I/O."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from types import MappingProxyType
from typing import Any

import yaml

from parvis.common.bus.access_rights import AccessRight

STRIMZI_API = "kafka.strimzi.io/v1"


def with_certificates(rights: Sequence[AccessRight]) -> list[AccessRight]:
    """Name the users as brokers name the owner of a client certificate whose subject is `CN=<user>` and nothing else."""
    return [replace(right, user=f"CN={right.user}") for right in rights]


def as_commands(rights: Sequence[AccessRight]) -> str:
    """One command of Kafka's own tool a line."""
    return "".join(f"{_command(right)}\n" for right in rights)


def _command(right: AccessRight) -> str:
    pattern = " --resource-pattern-type prefixed" if right.is_prefix else ""
    return (
        f"kafka-acls.sh --bootstrap-server BROKER --add --allow-principal User:{right.user}"
        f" --operation {right.operation} --{right.resource} {right.name}{pattern}"
    )


def as_text(rights: Sequence[AccessRight]) -> str:
    """A paragraph for each user, for people who check what they are about to grant."""
    paragraphs = [
        f"{user}\n"
        + "".join(f"  {_verb(right)} {right.resource} {right.name}{'*' if right.is_prefix else ''}\n" for right in own)
        for user, own in _by_user(rights).items()
    ]
    return "\n".join(paragraphs)


def _verb(right: AccessRight) -> str:
    return {"All": "do everything with", "Read": "read", "Write": "write"}[right.operation]


def as_json(rights: Sequence[AccessRight]) -> str:
    """A list of objects with the members of AccessRight."""
    return json.dumps([asdict(right) for right in rights], indent=2) + "\n"


def as_strimzi(rights: Sequence[AccessRight], *, authentication: str, cluster: str) -> str:
    """One KafkaUser for each user. Strimzi makes the password or the certificate, and a Secret of the user's name."""
    return yaml.safe_dump_all(
        [_kafka_user(user, own, authentication, cluster) for user, own in _by_user(rights).items()],
        sort_keys=False,
        explicit_start=True,
    )


def _kafka_user(user: str, rights: Sequence[AccessRight], authentication: str, cluster: str) -> dict[str, Any]:
    def acl(right: AccessRight) -> dict[str, Any]:
        pattern = "prefix" if right.is_prefix else "literal"
        resource = {"type": right.resource, "name": right.name, "patternType": pattern}
        return {"resource": resource, "operations": [right.operation]}

    return {
        "apiVersion": STRIMZI_API,
        "kind": "KafkaUser",
        "metadata": {"name": user, "labels": {"strimzi.io/cluster": cluster}},
        "spec": {
            "authentication": {"type": authentication},
            "authorization": {"type": "simple", "acls": [acl(right) for right in rights]},
        },
    }


def _by_user(rights: Sequence[AccessRight]) -> dict[str, list[AccessRight]]:
    return {user: list(own) for user, own in itertools.groupby(rights, key=lambda right: right.user)}


TEXTS: Mapping[str, Callable[[Sequence[AccessRight]], str]] = MappingProxyType(
    {"commands": as_commands, "text": as_text, "json": as_json}
)
