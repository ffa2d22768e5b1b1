"""Starts a service with a fault injected at a point that no signal can hit: `python -m tests.faults.injected_faults SERVICE FAULT`."""

import errno
import importlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from parvis.common.runtime.service import run_service

SECRET = "une phrase qui ne doit pas sortir"


def fail_while_accepting() -> None:
    """Raise an unexpected error, with personal data in its message, while a mail is accepted."""
    from parvis.common.storage.blobs import BlobStore

    async def defect(*_: object, **__: object) -> NoReturn:
        raise RuntimeError(SECRET)

    BlobStore.put = defect


def kill_at_second_mail(where: str) -> Callable[[], None]:
    """kill -9 between two steps of pulling the second mail from a hosted mailbox."""

    def sabotage() -> None:
        from parvis.common.bus.producer import Producer
        from parvis.common.storage.blobs import BlobStore
        from parvis.ingest_email.receive.imap_client import ImapMailbox

        owner, step, is_before = {
            "raw-store": (BlobStore, "put", False),
            "ack": (Producer, "send", False),
            "advance": (ImapMailbox, "put_away", True),
            "move": (ImapMailbox, "put_away", False),
        }[where]
        real, calls = getattr(owner, step), 0

        async def step_or_die(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if is_before and calls == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            done = await real(*arguments, **named)
            if calls == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        setattr(owner, step, step_or_die)

    return sabotage


def machine_in_trouble() -> None:
    """No file descriptor is left at two of five batches of the router, and no memory at two of twelve."""
    from parvis.router.consume.batch import BatchRouter

    real, calls = BatchRouter.store, 0

    async def store_or_fail(self: BatchRouter, batch: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % 12 == 0 or calls % 13 == 0:  # the handler too, after the stage
            raise MemoryError
        if calls % 5 in (0, 1):
            raise OSError(errno.EMFILE, "Too many open files")
        return await real(self, batch)

    BatchRouter.store = store_or_fail


FAULTS: dict[str, Callable[[], None]] = {
    "fail-while-parsing": fail_while_accepting,
    "machine-in-trouble": machine_in_trouble,
    **{f"die-after-{where}": kill_at_second_mail(where) for where in ("raw-store", "ack", "advance", "move")},
}


if __name__ == "__main__":
    service, how = sys.argv[1:]
    FAULTS[how]()
    app = importlib.import_module(f"parvis.{service.replace('-', '_')}.app")
    run_service(service, app.build)
