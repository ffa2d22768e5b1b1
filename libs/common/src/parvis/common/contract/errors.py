"""Defines four families of errors, by who must act.

ParvisError
├── Rejected        the caller must act       4xx, SMTP 5xx; never retried
├── Poison          nobody can act            dead letter, then commit
├── Unavailable     the world must recover    pause, back off, do not commit
│   ├── TopicMissing    one topic does not exist; records of the others were written
│   ├── RowLocked       another transaction holds a row; a caller that must not wait parks its work
│   └── OutcomeUnknown  it may have happened all the same; a retry must carry the same id
└── Misconfigured   the operator must act     exit 78
"""

from pathlib import Path

EXIT_MISCONFIGURED = 78  # EX_CONFIG of sysexits.h


class ParvisError(Exception):
    """The base class. The message states a fact and an id, never personal data."""


class Rejected(ParvisError):
    """The caller sent something that cannot be accepted; sending it again will not help."""


class Poison(ParvisError):
    """A record that no retry can handle."""


class Unavailable(ParvisError):
    """Kafka, PostgreSQL, the disk or a provider does not answer; nothing was done."""


class OutcomeUnknown(Unavailable):
    """No answer came in time; it may have been done, or may still be."""


class TopicMissing(Unavailable):
    """Kafka has no such topic. The records of all other topics were written, in their order."""

    def __init__(self, topics: frozenset[str]) -> None:
        super().__init__(
            f"Kafka has no topic {', '.join(sorted(topics))}: run `parvis topics apply`, or grant this user what `parvis topics acls` prints"
        )
        self.topics = topics


class RowLocked(Unavailable):
    """A row was held for longer than `lock_timeout`; nothing was done."""


class Misconfigured(ParvisError):
    """A setting or a configuration file is wrong.

    Gives:  a message `file:line: what is wrong. What to do.`
    """

    def __init__(self, fact: str, *, file: Path | str | None = None, line: int | None = None, mend: str = "") -> None:
        location = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(location + " ".join(_as_sentence(part) for part in (fact, mend) if part))


def _as_sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
