"""Lists the rights that each service needs on Kafka's topics and groups, and grants them as access control lists."""

from collections.abc import Sequence
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

    def as_command(self) -> str:
        """Write the right as an argument list of Kafka's own tool."""
        pattern = " --resource-pattern-type prefixed" if self.is_prefix else ""
        return (
            f"kafka-acls.sh --bootstrap-server BROKER --add --allow-principal User:{self.user}"
            f" --operation {self.operation} --{self.resource} {self.name}{pattern}"
        )


def needed_rights(rows: Sequence[topics.Topic], *, prefix: str) -> list[AccessRight]:
    """List what each service needs, its user named `<prefix>-<service>`, and what the operator's commands need.

    Describe comes with Read and Write, and the right to write idempotently with Write (KIP-679). A right on departments
    is one on their prefix: a new department needs no new right.
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
    rights += [
        AccessRight(operator, "All", "topic", f"{prefix}.", is_prefix=True),
        AccessRight(operator, "All", "group", f"{prefix}-", is_prefix=True),
    ]
    return sorted(dict.fromkeys(rights), key=lambda right: (right.user, right.resource, right.name, right.operation))


async def grant_rights(brokers: Brokers, rights: Sequence[AccessRight]) -> None:
    """Grant rights; those that are granted already stay. Never revokes any.

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
