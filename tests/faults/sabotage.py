"""A service, started with a fault at a place no signal from outside can hit: `python -m tests.faults.sabotage SERVICE HOW`."""

import importlib
import os
import signal
import sys
from typing import Any, NoReturn

from parvis.common.bus.membership import Membership
from parvis.common.service import run

SECRET = "une phrase qui ne doit pas sortir"


def die_before_the_second_commit() -> None:
    """kill -9 between Kafka's acknowledgement of what was produced and the commit of the offsets."""
    commit = Membership.commit
    commits = 0

    async def commit_or_die(self: Membership, offsets: Any) -> None:
        nonlocal commits
        commits += 1
        if commits == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        await commit(self, offsets)

    Membership.commit = commit_or_die


def fail_while_parsing() -> None:
    """An error nobody thought of, with something personal in its text, in the middle of accepting a mail."""
    from parvis.common.blobs import Blobs

    async def defect(*_: object, **__: object) -> NoReturn:
        raise RuntimeError(SECRET)

    Blobs.put = defect


FAULTS = {"die-before-the-second-commit": die_before_the_second_commit, "fail-while-parsing": fail_while_parsing}


if __name__ == "__main__":
    service, how = sys.argv[1:]
    FAULTS[how]()
    app = importlib.import_module(f"parvis.{service.replace('-', '_')}.app")
    run(service, app.build)
