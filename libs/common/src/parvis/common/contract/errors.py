"""Four families of errors, by who must act.

ParvisError
├── Rejected        the caller must act       4xx, SMTP 5xx; never retried
├── Poison          nobody can act            dead letter, then commit
├── Unavailable     the world must recover    pause, back off, do not commit
│   ├── Locked      somebody holds a row; whoever must not wait for it parks what is about it
│   └── Unknown     it may have happened all the same; a retry carries the same id
└── Misconfigured   the operator must act     exit 78
"""

from pathlib import Path

EXIT_MISCONFIGURED = 78  # EX_CONFIG of sysexits.h


class ParvisError(Exception):
    """The message is a fact and an id; never personal data."""


class Rejected(ParvisError):
    """What the caller sent cannot be accepted; sending it again will not help."""


class Poison(ParvisError):
    """A record that no retry can handle."""


class Unavailable(ParvisError):
    """Kafka, PostgreSQL, the disk or a provider does not answer; nothing was done."""


class OutcomeUnknown(Unavailable):
    """No answer came in time: it may have been done, or may yet be."""


class RowLocked(Unavailable):
    """A row was held for longer than `lock_timeout`; nothing was done."""


class Misconfigured(ParvisError):
    """A setting or a configuration file is wrong.

    Gives: a message with the place (variable, or file and line), the fact, and the mend.
    """

    def __init__(self, fact: str, *, file: Path | str | None = None, line: int | None = None, mend: str = "") -> None:
        place = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(f"{place}{fact}{f' ({mend})' if mend else ''}")
