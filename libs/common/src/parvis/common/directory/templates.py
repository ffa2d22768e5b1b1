"""Text files with `{variable}` in, checked templates out; a template has no logic, and a value is never read as one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from parvis.common.directory.models import Directory
from parvis.common.directory.reading import closest
from parvis.common.errors import Misconfigured

MEDIA = ("sms", "email", "letter")

_EVERYWHERE = frozenset({"reference", "town", "town_phone", "town_web", "department", "department_phone"})
_DEPARTMENT = frozenset({"department_email", "department_address", "department_hours"})

# Each template, and the variables that whoever asks for it gives.
TEMPLATES: Mapping[str, frozenset[str]] = {
    "registration": _EVERYWHERE | _DEPARTMENT | {"received_on"},
    "receipt": _EVERYWHERE | _DEPARTMENT | {"received_on", "procedure", "answer_due_on", "silence_rule"},
    "question": _EVERYWHERE | _DEPARTMENT | {"text"},
    "answer": _EVERYWHERE | _DEPARTMENT | {"text"},
}

_PLACEHOLDER = re.compile(r"\{([^{}\n]*)\}")
_SUBJECT = "Subject: "
_LARGEST_BYTES = 64 * 1024


@dataclass(frozen=True)
class Rendered:
    """What a citizen reads. An SMS has no subject."""

    subject: str
    text: str


@dataclass(frozen=True)
class Template:
    subject: str
    text: str

    def render(self, variables: Mapping[str, str]) -> Rendered:
        """The template with its values put in, in one pass: braces in a value stay what they are."""
        return Rendered(subject=" ".join(_fill(self.subject, variables).split()), text=_fill(self.text, variables))


@dataclass(frozen=True)
class Templates:
    """All templates of a town, by name, language and medium (`sms`, `email`, `letter`)."""

    default_language: str
    by_name: Mapping[tuple[str, str, str], Template]

    def find(self, name: str, language: str, medium: str) -> Template:
        """The template in that language, else in the town's first.

        Raises: KeyError, for a name or a medium that is in no list: a mistake of ours, not of the operator.
        """
        return self.by_name.get((name, language, medium)) or self.by_name[name, self.default_language, medium]


def load_templates(path: Path, directory: Directory) -> Templates:
    """Read `templates/<name>/<language>/<medium>.txt` below the configuration folder.

    Raises: Misconfigured, for a missing file, an unknown variable, a brace that opens nothing, a missing subject.
    """
    languages = directory.town.languages
    by_name = {
        (name, language, medium): _load(path / "templates" / name / language / f"{medium}.txt", name, medium)
        for name in TEMPLATES
        for language in languages
        for medium in MEDIA
    }
    return Templates(default_language=languages[0], by_name=by_name)


def _load(path: Path, name: str, medium: str) -> Template:
    try:
        text = path.read_bytes()[:_LARGEST_BYTES].decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        mend = f"write it; its variables: {', '.join(sorted(TEMPLATES[name]))}"
        raise Misconfigured("not there, or not UTF-8", file=path, mend=mend) from error
    for number, line in enumerate(text.split("\n"), start=1):
        _check_line(path, number, line, name)
    if medium == "sms":
        return Template(subject="", text=text.strip())
    subject, _, body = text.partition("\n")
    if not subject.startswith(_SUBJECT) or not body.strip():
        raise Misconfigured("no subject", file=path, line=1, mend=f"begin with `{_SUBJECT}…`, then the text")
    return Template(subject=subject.removeprefix(_SUBJECT).strip(), text=body.strip())


def _check_line(path: Path, number: int, line: str, name: str) -> None:
    for variable in _PLACEHOLDER.findall(line):
        if variable not in TEMPLATES[name]:
            fact = f"unknown variable {{{variable}}}"
            raise Misconfigured(fact, file=path, line=number, mend=closest(variable, TEMPLATES[name]))
    if set("{}") & set(_PLACEHOLDER.sub("", line)):
        raise Misconfigured("a brace without its pair", file=path, line=number, mend="write {variable}, or no brace")


def _fill(text: str, variables: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: variables.get(match[1], ""), text)
