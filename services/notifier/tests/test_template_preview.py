"""Facts about previews of templates and their warnings."""

import shutil
from pathlib import Path

import pytest
from services.notifier.tests.conftest import CONFIG

from parvis.common.cli import parser
from parvis.common.town.loading import load_town_config
from parvis.common.town.template_variables import standard_variables
from parvis.common.town.templates import TEMPLATES, load_templates
from parvis.notifier.commands import check
from parvis.notifier.render.readability import reading_ease
from parvis.notifier.render.sample_replies import sample_reply
from parvis.notifier.render.template_preview import render_preview, templates_to_preview


@pytest.fixture
def town(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CONFIG, tmp_path / "town"))


def lines_of(town: Path) -> list[str]:
    return check(town, load_town_config(town))


def test_a_preview_has_a_value_for_every_variable_that_its_template_may_use(town: Path) -> None:
    town_config = load_town_config(town)
    for name, variables in TEMPLATES.items():
        for language in town_config.town.languages:
            reply = sample_reply(name, language, town_config)
            facts = standard_variables(town_config, department=reply.department, language=language, reference="")
            assert variables <= reply.personal.variables.keys() | facts.keys() | {"text"}


def own_words(town: Path, folder: str, text: str) -> None:
    file = town / "templates" / folder
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_the_example_town_costs_little_and_reads_well(town: Path) -> None:
    lines = lines_of(town)
    assert {line.split("/")[1] for line in lines if line.startswith("templates/")} == set(TEMPLATES)
    alarming = [line for line in lines if line.startswith("warning") and "GSM alphabet" in line]
    assert not alarming, "a single ç makes a message twice as dear"
    assert not [line for line in lines if "hard to read" in line]
    assert not [line for line in lines if "pages" in line and line.startswith("warning")]


def test_expensive_long_or_hard_templates_get_warnings(town: Path) -> None:
    own_words(
        town,
        "departments/voirie/answer/fr/sms.txt",
        "{text} La reconnaissance de vos prérogatives, ça s'apprécie. " * 9,
    )
    hard = (
        "Nonobstant l'irrecevabilité procédurale susmentionnée, l'administration territorialement compétente requalifiera "
        * 5
    )
    own_words(town, "procedures/water-leak/answer/fr/email.txt", f"Subject: x\n\n{{text}} {hard}.")
    own_words(
        town, "procedures/water-leak/answer/fr/letter.txt", "Subject: x\n\n{text}\n\n" + "Une phrase de plus.\n\n" * 60
    )
    warnings = [line for line in lines_of(town) if line.startswith("warning")]
    for folder, words in (
        ("departments/voirie/answer/fr", "costs twice as much"),
        ("departments/voirie/answer/fr", "segments"),
        ("procedures/water-leak/answer/fr", "hard to read"),
        ("procedures/water-leak/answer/fr", "pages"),
    ):
        assert [line for line in warnings if folder in line and words in line], (folder, words)


def test_every_template_is_shown_on_every_channel(town: Path) -> None:
    own_words(town, "procedures/water-leak/answer/fr/sms.txt", "Fuite : {text}")
    town_config = load_town_config(town)
    templates = load_templates(town, town_config)
    shown = {
        template.folder: render_preview(template, town_config, templates)
        for template in templates_to_preview(templates, town_config)
    }
    assert shown["procedures/water-leak/answer/fr"]["sms.txt"].startswith(b"Fuite")
    assert set(shown["receipt/en"]) == {
        "sms.txt",
        "email.eml",
        "email.txt",
        "email.html",
        "letter.pdf",
        "letter-large.pdf",
    }
    for folder, files in shown.items():
        for name, content in files.items():
            assert content, (folder, name)
            assert b"{" not in content or not name.endswith(".txt"), (folder, name)
        assert all(files[name].startswith(b"%PDF-") for name in files if name.endswith(".pdf"))


def test_a_preview_writes_the_requested_templates(
    town: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "out"
    arguments = parser().parse_args(
        ["notifier", "preview", str(town), "--to", str(to), "--template", "receipt", "--language", "fr"]
    )
    assert arguments.run(arguments) == 0
    assert sorted(path.relative_to(to).as_posix() for path in to.rglob("*.*")) == [
        f"receipt/fr/{name}"
        for name in ("email.eml", "email.html", "email.txt", "letter-large.pdf", "letter.pdf", "sms.txt")
    ]
    assert "reading ease" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("language", "easy", "hard"),
    [
        (
            "fr",
            "Le chat dort. Il fait beau. Tu viens ?",
            "La dématérialisation administrative conditionne l'opposabilité procédurale.",
        ),
        (
            "en",
            "The cat sleeps. It is warm. You may come.",
            "Administrative dematerialisation conditions procedural opposability.",
        ),
    ],
)
def test_short_words_in_short_sentences_read_easily(language: str, easy: str, hard: str) -> None:
    measured = reading_ease(easy, language), reading_ease(hard, language)
    assert measured[0] is not None
    assert measured[1] is not None
    assert measured[0] > 80
    assert measured[1] < 50


@pytest.mark.parametrize(("text", "language"), [("Téléphone : 05 36", "fr"), ("", "fr"), ("Eine Antwort.", "de")])
def test_reading_ease_needs_a_known_language_and_a_sentence(text: str, language: str) -> None:
    assert reading_ease(text, language) is None
