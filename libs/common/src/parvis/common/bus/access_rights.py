"""Lists the rights that each service and each department's system needs on Kafka, and grants them as access control lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest

from parvis.common.bus.admin import AdminClient
from parvis.common.bus.connection import Brokers
from parvis.common.contract import topics
from parvis.common.contract.errors import Misconfigured

OPERATOR = "operator"
_DEPARTMENTS = topics.department_topic("").name
# Kafka's wire values: org.apache.kafka.common.resource.ResourceType and PatternType, …common.acl.AclOperation and AclPermissionType.
_RESOURCES, _OPERATIONS = {"topic": 2, "group": 3}, {"All": 2, "Read": 3, "Write": 4}
_LITERAL, _PREFIXED, _ALLOW = 3, 4, 3


@dataclass(frozen=True)
class AccessRight:
    """One thing that one Kafka user may do. `is_prefix`: on everything whose name begins so."""

    user: str
    operation: str
    resource: str
    name: str
    is_prefix: bool = False


def needed_rights(rows: Sequence[topics.Topic], *, prefix: str) -> list[AccessRight]:
    """List what each service needs, its user named `<prefix>-<service>`, and what the operator's commands need.

    Describe comes with Read and Write, and the right to write idempotently with Write (KIP-679): nobody needs a right on the
    cluster, nor on transactional ids, because nothing uses transactions. A right on departments is one on their prefix: a new
    department needs no new right.
    """
    rights: list[AccessRight] = []
    for row in rows:
        is_department = row.name.startswith(_DEPARTMENTS)
        name = topics.department_topic("").full_name(prefix) if is_department else row.full_name(prefix)
        for operation, parties in (("Write", row.written_by), ("Read", row.read_by)):
            rights += [
                AccessRight(f"{prefix}-{party}", operation, "topic", name, is_department)
                for party in parties
                if " " not in party and party != OPERATOR
            ]
    rights += [AccessRight(f"{prefix}-{name}", "Read", "group", f"{prefix}-{name}") for name in topics.CONSUMERS]
    operator = f"{prefix}-{OPERATOR}"
    rights.append(AccessRight(operator, "All", "topic", f"{prefix}.", is_prefix=True))
    # By name: `parvis-` would be the beginning of what belongs to a second town on these brokers, `parvis-nord`.
    rights += [AccessRight(operator, "All", "group", f"{prefix}-{name}") for name in topics.CONSUMERS]
    return sorted_rights(rights)


def department_user(slug: str, *, prefix: str) -> str:
    """Name the Kafka user of a department's own system, which is its consumer group too."""
    return f"{prefix}-department-{slug}"


def department_rights(written_topics: Mapping[str, Sequence[str]], *, prefix: str) -> list[AccessRight]:
    """List what the own system of each department needs: to read its queue in groups of its own, and to write what its town allows.

    Shape:  slug → names of topics without prefix, most often none. Its groups are `<user>` and all that begin with `<user>.`: a
            slug has no dot, so that `water` never gets into a group of `water-works`.
    """
    rights: list[AccessRight] = []
    for slug, written in written_topics.items():
        user = department_user(slug, prefix=prefix)
        rights.append(AccessRight(user, "Read", "topic", topics.department_topic(slug).full_name(prefix)))
        rights += [AccessRight(user, "Write", "topic", f"{prefix}.{name}") for name in written]
        for owner, operation in ((user, "Read"), (f"{prefix}-{OPERATOR}", "All")):
            rights.append(AccessRight(owner, operation, "group", user))
            rights.append(AccessRight(owner, operation, "group", f"{user}.", is_prefix=True))
    return sorted_rights(rights)


def sorted_rights(rights: Sequence[AccessRight]) -> list[AccessRight]:
    """Bring rights into the order of users, and each once."""
    return sorted(set(rights), key=lambda right: (right.user, right.resource, right.name, right.operation))


async def grant_rights(brokers: Brokers, rights: Sequence[AccessRight]) -> None:
    """Grant rights; those that are granted already stay. Never revokes any. A user named `CN=…` is a certificate's.

    Raises: Misconfigured, when the brokers have no authorizer, or this user may not grant; Unavailable.
    """
    async with AdminClient(brokers) as admin:
        for right in rights:
            answer: Any = await admin._send_request(_request(right))
            for code, _message in answer.creation_responses:
                if code:
                    raise Misconfigured(
                        f"Kafka grants no rights: {for_code(code).__name__}",
                        mend="set authorizer.class.name on the brokers, and grant as one of their super.users",
                    )


def _request(right: AccessRight) -> CreateAclsRequest:
    return CreateAclsRequest(
        resource_type=_RESOURCES[right.resource],
        resource_name=right.name,
        resource_pattern_type_filter=_PREFIXED if right.is_prefix else _LITERAL,
        principal=f"User:{right.user}",
        host="*",
        operation=_OPERATIONS[right.operation],
        permission_type=_ALLOW,
    )
