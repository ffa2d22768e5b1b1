"""Renders previews of a town's templates, and measures their cost and readability. Pure; no I/O."""

import email
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage

from parvis.common.contract.channels import channels
from parvis.common.text.sms_encoding import count_segments
from parvis.common.town.models import TownConfig
from parvis.common.town.templates import DEPARTMENTS, PROCEDURES, TEMPLATES, TemplateSet, template_media
from parvis.notifier.render.letter import count_pages
from parvis.notifier.render.message_renderer import MessageRenderer
from parvis.notifier.render.readability import HARD, reading_ease
from parvis.notifier.render.sample_replies import AT, sample_delivery, sample_reply

_MANY_SEGMENTS = 3
_KEY = b"a preview's code on a letter opens nothing"


@dataclass(frozen=True)
class TemplateVariant:
    """One template in one language, and its owner."""

    name: str
    language: str
    owner_kind: str = ""  # procedures or departments; empty: the town's own
    slug: str = ""

    @property
    def folder(self) -> str:
        return "/".join(filter(None, (self.owner_kind, self.slug, self.name, self.language)))


def templates_to_preview(templates: TemplateSet, town_config: TownConfig) -> list[TemplateVariant]:
    """Every template of the town, and those of its departments and procedures."""
    towns = [TemplateVariant(name, language) for name in TEMPLATES for language in town_config.town.languages]
    special = {
        TemplateVariant(name, language, owner_kind, slug) for owner_kind, slug, name, language, _ in templates.special
    }
    return [*towns, *sorted(special, key=lambda shown: shown.folder)]


def render_preview(template: TemplateVariant, town_config: TownConfig, templates: TemplateSet) -> Mapping[str, bytes]:
    """Render the SMS, the mail with its text and HTML parts, and the letter in both sizes, by file name."""
    renderer = MessageRenderer(town_config, templates, _KEY)
    reply = sample_reply(
        template.name,
        template.language,
        town_config,
        department=template.slug if template.owner_kind == DEPARTMENTS else None,
        procedure=template.slug if template.owner_kind == PROCEDURES else None,
    )
    files: dict[str, bytes] = {}
    for medium in template_media(template.name):
        content = renderer.render(reply, sample_delivery(reply, _channel_of(medium)), AT).content
        match medium:
            case "sms":
                files["sms.txt"] = content
            case "email":
                files |= {"email.eml": content, **_mail_alternatives(content)}
            case _:
                large = sample_delivery(reply, "post", large_print=True)
                files |= {"letter.pdf": content, "letter-large.pdf": renderer.render(reply, large, AT).content}
    return files


def check_preview(template: TemplateVariant, files: Mapping[str, bytes]) -> Iterator[str]:
    """Check cost and readability: a line of facts, then a warning for each value that should be better."""
    facts: list[str] = []
    warnings: list[str] = []
    if "sms.txt" in files:
        alphabet, count = count_segments(files["sms.txt"].decode())
        facts.append(f"SMS {count} × {alphabet}")
        if alphabet != "GSM-7":
            warnings.append(
                "an SMS with characters outside the GSM alphabet costs twice as much: é è à ù are in it, ê ç are not"
            )
        if count > _MANY_SEGMENTS:
            warnings.append(f"an SMS of {count} segments costs as much as {count}")
    if "letter.pdf" in files:
        pages, large = count_pages(files["letter.pdf"]), count_pages(files["letter-large.pdf"])
        facts.append(f"letter {pages} page{'s' * (pages > 1)}, {large} in large print")
        if pages > 1:
            warnings.append(f"the letter has {pages} pages")
    text = (files.get("email.txt") or files.get("sms.txt") or b"").decode()
    ease = reading_ease(text, template.language)
    if ease is not None:
        facts.append(f"reading ease {ease}")
        if ease < HARD:
            warnings.append(
                f"hard to read (reading ease {ease}; aim at {HARD} or more): use shorter sentences and words"
            )
    yield f"templates/{template.folder}: {'; '.join(facts)}"
    yield from (f"warning: templates/{template.folder}: {warning}" for warning in warnings)


def _mail_alternatives(content: bytes) -> dict[str, bytes]:
    message: EmailMessage = email.message_from_bytes(content, policy=policy.default)
    parts = {f"email.{name}": message.get_body((kind,)) for name, kind in (("txt", "plain"), ("html", "html"))}
    return {name: str(part.get_content()).encode() for name, part in parts.items() if part}


def _channel_of(medium: str) -> str:
    return next(row.name for row in channels() if row.is_sent and row.template_medium == medium)
