"""What lasts: submissions in PostgreSQL, their bytes in the blob store, their events in the outbox."""

from parvis.ingest_web.store.accepting import Vault
from parvis.ingest_web.store.submissions import check, lock_key, outbox, submission_of, submission_with_reference

__all__ = ["Vault", "check", "lock_key", "outbox", "submission_of", "submission_with_reference"]
