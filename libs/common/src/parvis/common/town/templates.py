"""Loads, checks and renders the templates of replies: plain text with `{variable}`, without logic."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from parvis.common.contract.errors import Misconfigured
from parvis.common.text.typography import typeset
from parvis.common.town.models import TownConfig
from parvis.common.town.yaml_documents import closest_match

MEDIA = ("sms", "email", "letter")
# Folders of special templates: a procedure's take precedence over a department's, and these over the town's.
PROCEDURES, DEPARTMENTS = "procedures", "departments"

_COMMON = frozenset({"reference", "town", "town_phone", "town_web", "department", "department_phone"})
_DEPARTMENT = frozenset({"department_email", "department_address", "department_hours"})
_TRANSFER_TO_BODY = frozenset(
    {"received_on", "moved_on", "body", "body_phone", "body_address", "answer_due_on", "silence_rule"}
)

# Each template, and the variables that are given to it.
TEMPLATES: Mapping[str, frozenset[str]] = {
    "registration": _COMMON | _DEPARTMENT | {"received_on"},
    "receipt": _COMMON | _DEPARTMENT | {"received_on", "procedure", "answer_due_on", "silence_rule"},
    "transfer": _COMMON | _DEPARTMENT | _TRANSFER_TO_BODY,
    "question": _COMMON | _DEPARTMENT | {"text"},
    "answer": _COMMON | _DEPARTMENT | {"text", "agent"},
    "link": _COMMON | {"link"},
    "code": _COMMON | {"code", "minutes", "hours"},
}
# Templates that are not sent on all media.
_MEDIA_OF: Mapping[str, tuple[str, ...]] = {"link": ("sms",), "code": ("sms", "email")}

_CONTACT_DETAILS = frozenset({"department_email", "department_address"})
_LAW = "the law requires it in this notice (CRPA R112-5, R112-11-1)"
# The variables that a template must use, at least one of each set; and why.
_LEGALLY_REQUIRED = ({"reference"}, {"received_on"}, {"department"}, {"department_phone"}, _CONTACT_DETAILS)
_REQUIRED: Mapping[str, tuple[tuple[Collection[str], ...], str]] = {
    "registration": (_LEGALLY_REQUIRED, _LAW),
    "receipt": ((*_LEGALLY_REQUIRED, {"silence_rule"}), _LAW),
    "transfer": ((*_LEGALLY_REQUIRED, {"body"}, {"moved_on"}, {"silence_rule"}), _LAW),
    "question": (({"text"},), "without it the message is empty"),
    "answer": (({"text"},), "without it the message is empty"),
    "link": (({"link"}, {"reference"}), "without it nobody can open the answer"),
    "code": (({"code"},), "without it the message is useless"),
}

_PLACEHOLDER = re.compile(r"\{([^{}\n]*)\}")
_SUBJECT = "Subject: "
_LARGEST_BYTES = 64 * 1024


@dataclass(frozen=True)
class RenderedTemplate:
    """The text that a citizen reads. An SMS has no subject."""

    subject: str
    text: str


@dataclass(frozen=True)
class Template:
    """One text with placeholders, checked."""

    subject: str
    text: str

    def render(self, variables: Mapping[str, str]) -> RenderedTemplate:
        """Fills in the values in one pass, so that braces within a value stay as they are."""
        return RenderedTemplate(
            subject=" ".join(_fill(self.subject, variables).split()), text=_fill(self.text, variables)
        )


@dataclass(frozen=True)
class TemplateSet:
    """All templates of a town by name, language and medium (`sms`, `email`, `letter`), with those of single procedures and departments."""

    default_language: str
    by_name: Mapping[tuple[str, str, str], Template]
    special: Mapping[tuple[str, str, str, str, str], Template] = field(
        default_factory=dict[tuple[str, str, str, str, str], Template]
    )

    def find(
        self, name: str, language: str, medium: str, *, department: str | None = None, procedure: str | None = None
    ) -> Template:
        """The template of the procedure, else of the department, else of the town; in the language, else in the town's first one.

        Raises: KeyError, for an unknown name or medium: a bug of ours, not a mistake of the operator.
        """
        for candidate_language in dict.fromkeys((language, self.default_language)):
            for folder, slug in ((PROCEDURES, procedure), (DEPARTMENTS, department)):
                template = self.special.get((folder, slug or "", name, candidate_language, medium))
                if template:
                    return template
            if (name, candidate_language, medium) in self.by_name:
                return self.by_name[name, candidate_language, medium]
        raise KeyError((name, language, medium))


def template_media(name: str) -> tuple[str, ...]:
    """The media on which a template is sent."""
    return _MEDIA_OF.get(name, MEDIA)


def load_templates(path: Path, town_config: TownConfig) -> TemplateSet:
    """Reads `templates/<name>/<language>/<medium>.txt` in the configuration folder, and the optional special templates in
    `templates/procedures/<slug>/<name>/…` and `templates/departments/<slug>/<name>/…`.

    Raises: Misconfigured, for a missing or misnamed file, an unknown variable, a missing variable that the law requires,
            an unmatched brace or a missing subject.
    """
    languages, root = town_config.town.languages, path / "templates"
    by_name = {
        (name, language, medium): _load_template(root / name / language / f"{medium}.txt", name, language, medium)
        for name in TEMPLATES
        for language in languages
        for medium in template_media(name)
    }
    special: dict[tuple[str, str, str, str, str], Template] = {}
    for kind, slugs in ((PROCEDURES, town_config.procedures), (DEPARTMENTS, town_config.departments)):
        for slug in _known_folders(root / kind, slugs):
            for name in _known_folders(root / kind / slug, TEMPLATES):
                for language in _known_folders(root / kind / slug / name, languages):
                    folder = root / kind / slug / name / language
                    for medium in _known_media(folder, template_media(name)):
                        loaded = _load_template(folder / f"{medium}.txt", name, language, medium)
                        special[kind, slug, name, language, medium] = loaded
    _known_folders(root, [*TEMPLATES, PROCEDURES, DEPARTMENTS])
    return TemplateSet(default_language=languages[0], by_name=by_name, special=special)


def _known_folders(path: Path, known: Collection[str]) -> list[str]:
    """The folders in `path`. Raises: Misconfigured, for one whose name is not known."""
    return _check_names(
        path, {entry.name for entry in path.iterdir() if entry.is_dir()} if path.is_dir() else set(), known
    )


def _known_media(path: Path, media: Collection[str]) -> list[str]:
    names = {entry.name for entry in path.iterdir() if entry.is_file() and not entry.name.startswith(".")}
    return [name.removesuffix(".txt") for name in _check_names(path, names, [f"{medium}.txt" for medium in media])]


def _check_names(path: Path, names: Collection[str], known: Collection[str]) -> list[str]:
    for name in sorted(names):
        if name not in known and not name.startswith("."):
            raise Misconfigured("unknown name", file=path / name, mend=closest_match(name, known))
    return sorted(name for name in names if name in known)


def _load_template(path: Path, name: str, language: str, medium: str) -> Template:
    try:
        text = path.read_bytes()[:_LARGEST_BYTES].decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        mend = f"Write it. It may use {', '.join(f'{{{variable}}}' for variable in sorted(TEMPLATES[name]))}."
        raise Misconfigured("the file is missing or not UTF-8", file=path, mend=mend) from error
    for number, line in enumerate(text.split("\n"), start=1):
        _check_line(path, number, line, name)
    _check_required(path, text, name)
    if medium == "sms":  # its typography is made plain when it is rendered
        return Template(subject="", text=text.strip())
    subject, _, body = typeset(text, language).partition("\n")
    if not subject.startswith(_SUBJECT) or not body.strip():
        raise Misconfigured(
            "the subject is missing", file=path, line=1, mend=f"Begin with the line `{_SUBJECT}…`, then write the text."
        )
    return Template(subject=subject.removeprefix(_SUBJECT).strip(), text=body.strip())


def _check_line(path: Path, number: int, line: str, name: str) -> None:
    for variable in _PLACEHOLDER.findall(line):
        if variable not in TEMPLATES[name]:
            fact = f"unknown variable {{{variable}}}"
            raise Misconfigured(fact, file=path, line=number, mend=closest_match(variable, TEMPLATES[name]))
    if set("{}") & set(_PLACEHOLDER.sub("", line)):
        raise Misconfigured("unmatched brace", file=path, line=number, mend="Write {variable}, or remove the brace.")


def _check_required(path: Path, text: str, name: str) -> None:
    used = set(_PLACEHOLDER.findall(text))
    required, purpose = _REQUIRED.get(name, ((), ""))
    for alternatives in required:
        if not used & set(alternatives):
            variables = " or ".join(f"{{{variable}}}" for variable in sorted(alternatives))
            raise Misconfigured(f"{variables} is missing: {purpose}", file=path, mend="Add it.")


def _fill(text: str, variables: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: variables.get(match[1], ""), text)
