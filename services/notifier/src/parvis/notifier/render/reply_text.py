"""Fills a reply's template with the town's and the requester's values, without invisible characters. Pure; no I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from parvis.common.contract.reply import ReplyRequested
from parvis.common.text.telephone import format_phone
from parvis.common.town.models import Department, TownConfig, localized
from parvis.common.town.template_variables import standard_variables
from parvis.common.town.templates import TEMPLATES, RenderedTemplate, TemplateSet

# C0 and C1 controls except line feed, bidirectional controls (they can disguise a text), lone surrogates, BOM.
_INVISIBLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_FILES = {"fr": "Les documents joints sont ici : {link}", "en": "The documents are here: {link}"}
_FILES_BY_PHONE = {
    "fr": "Des documents accompagnent cette réponse : demandez-les au {phone}.",
    "en": "Documents go with this answer: ask for them on {phone}.",
}
_LINE_ENDS = re.compile("\r\n|\r|\x85|\u2028|\u2029")


@dataclass(frozen=True)
class ReplyTextRenderer:
    """One reply in its citizen's language."""

    town_config: TownConfig
    templates: TemplateSet
    reply: ReplyRequested
    files_url: str = ""

    @property
    def language(self) -> str:
        return self.town_config.town.supported_language(self.reply.language)

    @property
    def department(self) -> Department:
        return self.town_config.departments[self.town_config.current_department(self.reply.department)]

    @property
    def template(self) -> str:
        name = self.reply.template or self.reply.kind
        return name if name in TEMPLATES else "answer"

    def render(self, medium: str) -> RenderedTemplate:
        """Render the template of a medium: `sms`, `email` or `letter`."""
        template = self.templates.find(
            self.template,
            self.language,
            medium,
            department=self.department.slug,
            procedure=self.reply.procedure,
        )
        rendered = template.render(self._values())
        files = f"\n\n{self._files_sentence(medium)}" if self.reply.attachments and self.files_url else ""
        return RenderedTemplate(subject=to_one_line(rendered.subject), text=tidy(rendered.text + files))

    def _files_sentence(self, medium: str) -> str:
        """The sentence that says where the files are; on a letter a telephone number, since nobody types such a link."""
        texts = _FILES_BY_PHONE if medium == "letter" else _FILES
        phone = format_phone(self.department.phone)
        return localized(texts, self.language).format(link=self.files_url, phone=phone)

    def _values(self) -> Mapping[str, str]:
        """The requester's variables, overridden by the town's own: nobody can put another telephone number into a notice.

        An acknowledgement never repeats a citizen's text, which may be spam or abuse: its templates use none of its variables.
        """
        requested = {name: to_one_line(value) for name, value in self.reply.personal.variables.items()}
        facts = standard_variables(
            self.town_config, department=self.department.slug, language=self.language, reference=self.reply.reference
        )
        return requested | facts | {"text": remove_invisible(self.reply.personal.text).strip()}


def remove_invisible(text: str) -> str:
    """Reduce line ends to line feeds, and remove characters that do not show."""
    return _INVISIBLE.sub("", _LINE_ENDS.sub("\n", text).replace("\t", " "))


def to_one_line(text: str) -> str:
    return " ".join(remove_invisible(text).split())


def tidy(text: str) -> str:
    """Remove trailing spaces and repeated empty lines."""
    lines = [line.rstrip() for line in remove_invisible(text).strip().split("\n")]
    return re.sub("\n{3,}", "\n\n", "\n".join(lines))
