"""Translates keys into sentences of the reader's language, from YAML catalogues. Pure once the catalogues are read."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from parvis.common.contract.errors import Misconfigured
from parvis.common.text.typography import typeset

_SHARED_CATALOGUES = Path(__file__).parent / "words"


@dataclass(frozen=True)
class Translations:
    """The catalogues of one service on top of the shared ones: `<language>.yaml`, nested keys joined by dots.

    Shape:  translate("form.send", "fr"). A key with the members `one` and `other` is chosen by the value `count`.
    Raises: KeyError, for a key that no catalogue has: a page must never show a key.
    """

    sentences: dict[str, dict[str, str]]

    @classmethod
    def read(cls, *folders: Path, languages: tuple[str, ...]) -> "Translations":
        """Reads the shared catalogues, then those in `folders`; a later one may replace a sentence.

        Raises: Misconfigured, if a language of town.yaml has no catalogue.
        """
        sentences: dict[str, dict[str, str]] = {}
        for language in languages:
            sentences[language] = {}
            for folder in (_SHARED_CATALOGUES, *folders):
                file = folder / f"{language}.yaml"
                if not file.exists():
                    fact = f"the pages are not translated into {language!r}"
                    raise Misconfigured(
                        fact,
                        file=file,
                        mend="Write this catalogue, or remove the language from `languages:` in town.yaml.",
                    )
                written = dict(_flatten("", yaml.safe_load(file.read_text(encoding="utf-8"))))
                sentences[language] |= {key: typeset(sentence, language) for key, sentence in written.items()}
        return cls(sentences)

    def translate(self, key: str, language: str, **values: object) -> str:
        sentences = self.sentences[language]
        if key not in sentences:
            key = f"{key}.{_plural(language, values['count'])}"
        return sentences[key].format(**{name: _group_digits(value, language) for name, value in values.items()})


def _group_digits(value: object, language: str) -> object:
    """A number of five digits or more as people read it: `100 000`, `100,000`; the year 2026 and anything else unchanged."""
    if not isinstance(value, int) or value < 10_000:
        return value
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}") if language == "fr" else f"{value:,}"


def _plural(language: str, count: object) -> str:
    """French counts zero as singular, English as plural."""
    return "one" if count == 1 or (count == 0 and language == "fr") else "other"


def _flatten(prefix: str, node: object) -> list[tuple[str, str]]:
    if isinstance(node, dict):
        return [
            pair
            for name, child in node.items()
            for pair in _flatten(f"{prefix}.{name}" if prefix else str(name), child)
        ]
    return [(prefix, str(node))]
