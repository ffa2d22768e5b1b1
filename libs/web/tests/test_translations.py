"""Facts about the shared catalogues: the same keys in each language, plurals and no-break spaces."""

import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from parvis.common.contract.errors import Misconfigured
from parvis.web.dates import DateFormatter
from parvis.web.pages import group_digits, text_to_html_lines
from parvis.web.translations import Translations

WORDS = Translations.read(languages=("fr", "en"))
DATES = DateFormatter(WORDS, ZoneInfo("Europe/Paris"))


def test_both_languages_have_the_same_sentences_with_the_same_values() -> None:
    def values(language: str) -> dict[str, set[str]]:
        return {key: set(re.findall(r"{(\w+)", sentence)) for key, sentence in WORDS.sentences[language].items()}

    assert values("fr") == values("en")


def test_a_language_without_catalogue_is_misconfigured() -> None:
    with pytest.raises(Misconfigured, match=r"eo\.yaml: the pages are not translated into .eo."):
        Translations.read(languages=("fr", "eo"))


def test_zero_is_singular_in_french_and_plural_in_english() -> None:
    assert WORDS.translate("form.problems", "fr", count=0) == "Une réponse est à corriger"
    assert WORDS.translate("form.problems", "en", count=0) == "0 answers need to be corrected"


def test_dates_are_those_of_the_town_not_of_utc() -> None:
    late = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)

    assert DATES.long_day(late, "fr") == "dimanche 1er mars 2026"
    assert DATES.day_and_hour(late, "fr") == "1er mars 2026 à 0 h 30"
    assert DATES.day_and_hour(late, "en") == "1 March 2026 at 0:30"
    assert DATES.short_day(date(2026, 3, 2), "fr") == "02/03/2026"
    assert DATES.short_day(date(2026, 3, 2), "en") == "2 Mar 2026"


def test_recent_instants_are_written_as_today_and_yesterday() -> None:
    now = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)

    assert DATES.recent(datetime(2026, 3, 2, 9, 30, tzinfo=UTC), "fr", now) == "aujourd’hui à 10 h 30"
    assert DATES.recent(datetime(2026, 3, 1, 9, 2, tzinfo=UTC), "en", now) == "yesterday at 10:02"
    assert DATES.recent(datetime(2026, 2, 1, 9, 2, tzinfo=UTC), "en", now) == "1 Feb 2026"


def test_numbers_are_written_as_people_write_them() -> None:
    assert group_digits("+33536490101") == "05 36 49 01 01"
    assert group_digits("no number") == "no number"
    assert WORDS.translate("form.most_characters", "fr", count=100_000) == "100\u202f000 caractères au plus."
    assert WORDS.translate("form.most_characters", "en", count=100_000) == "100,000 characters at most."
    assert WORDS.translate("form.most_characters", "fr", count=2026) == "2026 caractères au plus."


def test_lines_escape_what_they_keep() -> None:
    assert text_to_html_lines("<b>\n&") == "&lt;b&gt;<br>&amp;"


def test_a_reference_stays_in_one_piece() -> None:
    assert text_to_html_lines("Votre référence : P-7F3K-2Q9X-M4TC. <i>") == (
        'Votre référence : <span class="nowrap">P-7F3K-2Q9X-M4TC</span>. &lt;i&gt;'
    )
