"""Models a form while it is received, and the dependencies of receiving it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from parvis.common.contract.contact import ContactId, make_contact_id
from parvis.common.contract.daily_source_pseudonyms import network_sources
from parvis.common.town.models import Procedure, TownConfig
from parvis.ingest_web.models.form import CSRF, PROOF, WAITED, FormFile, StoredFile
from parvis.ingest_web.render import form_html
from parvis.ingest_web.store.submission_store import SubmissionStore
from parvis.ingest_web.verify.client_address import Network
from parvis.ingest_web.verify.form_tokens import FormTokens
from parvis.ingest_web.verify.rate_limit import SubmissionRateLimit
from parvis.web.form_parsing import SubmittedForm, Upload
from parvis.web.pages import PageRenderer
from parvis.web.tokens import OneTimeToken


@dataclass(frozen=True)
class FormDependencies:
    """The dependencies of receiving a form."""

    town_config: TownConfig
    pages: PageRenderer
    tokens: FormTokens
    rate_limit: SubmissionRateLimit
    store: SubmissionStore
    trusted_proxies: tuple[Network, ...]
    largest_request_mb: int


@dataclass
class FormInProgress:
    """One form while it is received: its fields, the files just chosen, and those stored before."""

    procedure: Procedure
    language: str
    form: SubmittedForm
    once: OneTimeToken | None
    chosen: dict[str, list[tuple[FormFile, Upload]]]
    stored: dict[str, list[StoredFile]]
    client: str | None = None  # its network

    @property
    def sources(self) -> tuple[str, ...]:
        """The client's networks; none if it is inside or unknown."""
        return network_sources(self.client) if self.client else ()

    @property
    def contact_id(self) -> ContactId:
        """The id of the contact that this form makes, however often it is sent."""
        assert self.once  # noqa: S101 (a form without our token goes no further)
        return make_contact_id("web", self.procedure.slug, self.once.seed)

    def files(self) -> Mapping[str, Sequence[FormFile]]:
        """The files of the form, by field: those stored before and those just chosen, without duplicates."""
        names = [*self.stored, *self.chosen]
        return {
            name: list(
                dict.fromkeys(
                    [stored_file.file for stored_file in self.stored.get(name, ())]
                    + [f for f, _ in self.chosen.get(name, ())]
                )
            )
            for name in dict.fromkeys(names)
        }


def build_form_view(
    dependencies: FormDependencies, submission: FormInProgress, *, fresh: bool = False, **more: object
) -> form_html.FormView:
    """Build the view of this form with everything that was typed; `fresh` gives it a new one-time token."""
    now, slug = dependencies.pages.clock(), submission.procedure.slug
    token = dependencies.tokens.make_one_time_token(slug, now) if fresh or not submission.once else submission.once.text
    values: dict[str, object] = {
        "procedure": submission.procedure,
        "department": dependencies.town_config.departments[
            dependencies.town_config.current_department(submission.procedure.department)
        ],
        "language": submission.language,
        "once": token,
        "csrf": dependencies.tokens.make_csrf_token(slug, now),
        "most_mb": dependencies.largest_request_mb,
        "fields": {name: [_without_nul(value) for value in values] for name, values in submission.form.typed.items()},
        "proof": submission.form.first(PROOF)[:40],
        "waited": submission.form.first(WAITED)[:80],
        "stored": {
            name: [(stored_file.file, dependencies.tokens.seal_file(stored_file)) for stored_file in files]
            for name, files in submission.stored.items()
        },
    }
    return form_html.FormView(**(values | more))  # pyright: ignore[reportArgumentType] (the fields of FormView)


def has_valid_tokens(dependencies: FormDependencies, submission: FormInProgress) -> bool:
    """Whether the form has a valid one-time token and a valid CSRF token."""
    csrf = submission.form.first(CSRF)
    return submission.once is not None and dependencies.tokens.is_valid_csrf_token(
        csrf, submission.procedure.slug, dependencies.pages.clock()
    )


def _without_nul(text: str) -> str:
    """HTML cannot contain NUL."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
