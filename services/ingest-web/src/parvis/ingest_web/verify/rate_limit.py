"""Limits how often one source, and all sources together, may submit forms."""

from dataclasses import dataclass

from parvis.common.runtime.rate_limits import RateLimiter


@dataclass(frozen=True)
class SubmissionRateLimit:
    """The rate limits of forms: per source, and for all sources together.

    Gives:  wait_s(client), the seconds to wait; 0.0 if the form may pass. The limit for all sources holds only where a proof
            of work can replace the wait (`asks_for_work`), so that no citizen is refused because of others.
    """

    per_source: RateLimiter | None
    all_sources: RateLimiter
    requires_work: bool
    files: RateLimiter | None = None  # separate, so that a form with many files is not refused because of them

    megabytes: RateLimiter | None = None  # of files, for each source
    form_megabytes: RateLimiter | None = None  # of files, for each form, also from inside

    def megabytes_wait_s(self, client: str | None, form: str, size_bytes: int) -> float:
        """The wait for files of this size, which are stored before the form is sent, and kept if it never is."""
        if not size_bytes:
            return 0.0
        own = self.form_megabytes.seconds_until_allowed(form, size_bytes / 1e6) if self.form_megabytes else 0.0
        if own or not self.megabytes or not client:
            return own
        return self.megabytes.seconds_until_allowed(client, size_bytes / 1e6)

    def files_wait_s(self, client: str | None, count: int) -> float:
        return (
            max([self.files.seconds_until_allowed(client) for _ in range(count)], default=0.0)
            if self.files and client
            else 0.0
        )

    def wait_s(self, client: str | None) -> float:
        own = self.per_source.seconds_until_allowed(client) if self.per_source and client else 0.0
        if own or not self.requires_work:
            return own
        return self.all_sources.seconds_until_allowed("")
