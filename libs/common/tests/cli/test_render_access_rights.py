"""Facts about how Kafka's rights are printed: each format says the same, and Strimzi's own schema takes its objects."""

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from parvis.common.bus.access_rights import AccessRight, department_rights, needed_rights, sorted_rights
from parvis.common.cli import render_access_rights
from parvis.common.contract.topics import all_topics

WRITES = {"roads": (), "water": ("reply.requested",)}
RIGHTS = sorted_rights(
    [*needed_rights(all_topics(list(WRITES)), prefix="town"), *department_rights(WRITES, prefix="town")]
)
CRD = Path(os.environ.get("PARVIS_SAMPLES", "")) / "crds" / "044-Crd-kafkauser.yaml"  # noqa: TID251 (a test's own)


def kafka_users(authentication: str = "scram-sha-512") -> dict[str, dict[str, Any]]:
    text = render_access_rights.as_strimzi(RIGHTS, authentication=authentication, cluster="kafka")
    return {document["metadata"]["name"]: document for document in yaml.safe_load_all(text)}


def test_every_format_says_every_right():
    assert [AccessRight(**item) for item in json.loads(render_access_rights.as_json(RIGHTS))] == RIGHTS
    assert len(render_access_rights.as_commands(RIGHTS).splitlines()) == len(RIGHTS)
    assert sum(line.startswith("  ") for line in render_access_rights.as_text(RIGHTS).splitlines()) == len(RIGHTS)
    objects = kafka_users()
    assert list(objects) == sorted({right.user for right in RIGHTS})
    assert sum(len(item["spec"]["authorization"]["acls"]) for item in objects.values()) == len(RIGHTS)


def test_a_department_that_only_reads_has_three_rights():
    text = render_access_rights.as_text([right for right in RIGHTS if right.user == "town-department-roads"])
    assert text.splitlines() == [
        "town-department-roads",
        "  read group town-department-roads",
        "  read group town-department-roads.*",
        "  read topic town.department.roads",
    ]


def test_the_users_of_certificates_are_named_by_their_subject():
    commands = render_access_rights.as_commands(render_access_rights.with_certificates(RIGHTS))
    assert "--allow-principal User:CN=town-router --operation Read --topic town.contact.received" in commands
    assert kafka_users("tls")["town-router"]["spec"]["authentication"] == {"type": "tls"}  # Strimzi adds CN= itself


def test_the_operator_of_one_town_has_no_right_on_a_town_whose_prefix_begins_alike():
    rights = needed_rights(all_topics(["roads"]), prefix="town")
    others = needed_rights(all_topics(["roads"]), prefix="town-north")
    for right in rights:
        assert not any(right.is_prefix and other.name.startswith(right.name) for other in others), right


@pytest.mark.skipif(not CRD.is_file(), reason="PARVIS_SAMPLES has no Strimzi schemas")
@pytest.mark.parametrize("authentication", ["scram-sha-512", "tls"])
def test_strimzi_takes_the_objects(authentication: str):
    definition = yaml.safe_load(CRD.read_text(encoding="utf-8"))["spec"]
    group, versions = definition["group"], {version["name"]: version for version in definition["versions"]}
    for item in kafka_users(authentication).values():
        version = item["apiVersion"].removeprefix(f"{group}/")
        jsonschema.validate(item, versions[version]["schema"]["openAPIV3Schema"])
