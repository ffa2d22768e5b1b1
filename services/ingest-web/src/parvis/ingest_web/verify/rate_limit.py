"""Limits how often one source, and all sources together, may submit forms."""

from dataclasses import dataclass

from parvis.common.runtime.rate_limits import RateLimiter


@dataclass(frozen=True)
class SubmissionRateLimit:
    """How much comes in from each source, and from all together.

    Gives:  wait_s(client): 0.0 when the form may pass; else the seconds to wait. Only where the work of a browser can take the
            place of waiting (`asks_for_work`) do all together count: nobody is refused because of the others.
    """

    per_source: RateLimiter | None
    all_sources: RateLimiter
    requires_work: bool
    files: RateLimiter | None = None  # of its own: a form may bring many, and none of them should stop the form

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
