"""Maps PostgreSQL's error codes to what an operator has to do; a code that only a statement's own data causes maps to nothing."""

from parvis.common.contract.errors import RowLocked, Unavailable

# SQLSTATE or class of them (PostgreSQL, appendix A), the longest prefix first: whose trouble it is, in words for /ready.
_CAUSES = (
    ("55P03", "somebody else holds a row"),  # lock_not_available, after lock_timeout
    ("25006", "PostgreSQL takes no writes: it is read-only"),
    ("25P03", "PostgreSQL is in conflict or restarting"),  # idle_in_transaction_session_timeout ends the session
    ("53300", "PostgreSQL has no free connection"),
    ("42501", "the database role lacks a right: grant it"),
    *((state, "the tables are missing or too old: run `parvis migrate`") for state in ("42P01", "3F000", "42703")),
    *((state, "the tables are missing or too old: run `parvis migrate`") for state in ("42704", "42883")),
    ("0A000", "the tables have just changed"),  # a cached statement, after a migration
    ("26000", "PostgreSQL has forgotten a statement"),  # a connection pooler in between
    ("08", "PostgreSQL does not answer"),
    ("28", "PostgreSQL refuses the login: check the role and its password"),
    ("3D", "the database does not exist"),
    ("40", "PostgreSQL is in conflict or restarting"),
    ("53", "PostgreSQL has too little memory or disk"),
    ("55", "the database is not in a state to be used, as while it is restored"),
    ("57", "PostgreSQL is in conflict or restarting"),
    ("58", "PostgreSQL reports a disk or system error"),
    ("F0", "PostgreSQL's configuration is wrong"),
    ("XX", "PostgreSQL reports an internal error"),
)


def unavailable_by_state(state: str) -> Unavailable | None:
    """Give the trouble of the world or the operator; None when the statement's own data are at fault."""
    sentence = next((sentence for prefix, sentence in _CAUSES if state.startswith(prefix)), None)
    if sentence is None:
        return None
    return RowLocked(sentence) if state == "55P03" else Unavailable(sentence)


def sqlstate_of(error: BaseException) -> str:
    """The SQLSTATE of an asyncpg error, or of the one that SQLAlchemy wraps; empty when there is none."""
    origin = getattr(error, "orig", None) or error
    return getattr(origin, "sqlstate", None) or getattr(origin, "pgcode", None) or ""
