"""What the door stands on, and one form on its way through it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from parvis.common.contract.contact import ContactId, make_contact_id
from parvis.common.town.models import Procedure, TownConfig
from parvis.ingest_web.models.form import CSRF, PROOF, WAITED, FormFile, StoredFile
from parvis.ingest_web.render import form_html
from parvis.ingest_web.store.submission_store import SubmissionStore
from parvis.ingest_web.verify.client_address import Network, SubmissionRateLimit
from parvis.ingest_web.verify.form_tokens import FormTokens
from parvis.web.forms import SubmittedForm, Upload
from parvis.web.pages import PageRenderer
from parvis.web.tokens import OneTimeToken


@dataclass(frozen=True)
class FormDependencies:
    """What the door stands on."""

    town_config: TownConfig
    pages: PageRenderer
    tokens: FormTokens
    rate_limit: SubmissionRateLimit
    store: SubmissionStore
    trusted_proxies: tuple[Network, ...]
    largest_request_mb: int


@dataclass
class FormSubmission:
    """One form on its way: what came, the files just chosen, and those that are stored already."""

    procedure: Procedure
    language: str
    form: SubmittedForm
    once: OneTimeToken | None
    chosen: dict[str, list[tuple[FormFile, Upload]]]
    stored: dict[str, list[StoredFile]]

    @property
    def contact_id(self) -> ContactId:
        """The contact that this form is or will be: the same, however often it is sent."""
        assert self.once  # noqa: S101 (a form without our token goes no further)
        return make_contact_id("web", self.procedure.slug, self.once.seed)

    def files(self) -> Mapping[str, Sequence[FormFile]]:
        """What goes with the form: the kept files and those just chosen, each once."""
        names = [*self.stored, *self.chosen]
        return {
            name: list(
                dict.fromkeys([k.file for k in self.stored.get(name, ())] + [f for f, _ in self.chosen.get(name, ())])
            )
            for name in dict.fromkeys(names)
        }


def shown(door: FormDependencies, sent: FormSubmission, *, fresh: bool = False, **more: object) -> form_html.FormView:
    """The page of this form once more, with all that was typed; `fresh` gives it a new one-time token."""
    now, slug = door.pages.clock(), sent.procedure.slug
    token = door.tokens.make_one_time_token(slug, now) if fresh or not sent.once else sent.once.text
    values: dict[str, object] = {
        "procedure": sent.procedure,
        "department": door.town_config.departments[door.town_config.current_department(sent.procedure.department)],
        "language": sent.language,
        "once": token,
        "csrf": door.tokens.make_csrf_token(slug, now),
        "most_mb": door.largest_request_mb,
        "fields": {name: [_showable(value) for value in values] for name, values in sent.form.typed.items()},
        "proof": sent.form.first(PROOF)[:40],
        "waited": sent.form.first(WAITED)[:80],
        "kept": {name: [(k.file, door.tokens.seal_file(k)) for k in several] for name, several in sent.stored.items()},
    }
    return form_html.FormView(**(values | more))  # pyright: ignore[reportArgumentType] (the members of Shown)


def is_ours(door: FormDependencies, sent: FormSubmission) -> bool:
    """Whether the form carries our tokens, both of them."""
    csrf = sent.form.first(CSRF)
    return sent.once is not None and door.tokens.is_valid_csrf_token(csrf, sent.procedure.slug, door.pages.clock())


def _showable(text: str) -> str:
    """NUL is the one character that no page can carry."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
