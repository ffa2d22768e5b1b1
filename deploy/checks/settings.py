"""Compares the variables that a deployment sets with the services' settings."""

from collections.abc import Iterator

from parvis.common.cli.config import settings_class
from parvis.common.contract.errors import Rejected
from parvis.common.runtime.settings import environment_variables


def problems(service: str, given: set[str], *, more_may_come: bool = False) -> Iterator[str]:
    """Yield unknown names, and required settings that are not set.

    Shape:  more_may_come: the operator can add variables that this check does not see.
    """
    try:
        rows = environment_variables(settings_class("common")) + (
            environment_variables(settings_class(service)) if service != "operator" else []
        )
    except Rejected:
        yield f"{service}: it has no settings module"
        return
    known = {name for name, *_ in rows}
    for name in sorted(given - known):
        yield f"{service}: {name} is not a setting of it (`parvis settings {service}` lists them)"
    for name, _, default, meaning in rows:
        if default == "required" and name not in given and not more_may_come:
            yield f"{service}: {name} is needed and not set ({meaning})"
