"""Facts about the configuration folder: the example town is valid, and an error names file, line and fix."""

import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parvis.common.contract.errors import Misconfigured
from parvis.common.text.telephone import format_phone
from parvis.common.town.deadline_rules import Period
from parvis.common.town.loading import load_town_config
from parvis.common.town.models import TownConfig, localized
from parvis.common.town.template_variables import format_day, standard_variables
from parvis.common.town.templates import MEDIA, load_templates
from parvis.common.town.yaml_documents import read_document

EXAMPLE = Path(__file__).parents[4] / "config" / "example-town"


@pytest.fixture(scope="module")
def town_config() -> TownConfig:
    return load_town_config(EXAMPLE)


@pytest.fixture
def town(tmp_path: Path) -> Path:
    return shutil.copytree(EXAMPLE, tmp_path / "town")


def wrong(town: Path, file: str, old: str, new: str) -> str:
    """What is rendered of the town after one change to one file."""
    path = town / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(Misconfigured) as caught:
        load_templates(town, load_town_config(town))
    return str(caught.value).replace(str(town), "")


def test_the_example_town_is_right_and_says_that_it_is_fictional(town_config: TownConfig) -> None:
    assert town_config.town.fictional
    assert town_config.town.mailbox == "mairie@example-town.example"
    assert town_config.town.sms_number == "+33536490100"
    assert len(town_config.departments) >= 10
    assert len(town_config.procedures) >= 8
    assert "triage" in town_config.departments


def test_every_number_and_address_of_the_example_is_from_the_blocks_for_fiction(town_config: TownConfig) -> None:
    for department in town_config.departments.values():
        assert department.phone.startswith("+3353649")
        assert department.email.endswith(".example")


def test_addresses_and_templates_are_set_as_their_language_prints_them(town: Path) -> None:
    for file, old, new in (
        ("departments.yaml", "Service de l’état civil, 1 place", "Service de l'état civil, 1 place"),
        ("templates/registration/fr/email.txt", "Nous avons bien", "J'ai bien"),
        ("templates/registration/en/letter.txt", "We received", "It's true : we received"),
    ):
        path = town / file
        path.write_text(path.read_text().replace(old, new, 1))
    town_config = load_town_config(town)
    templates = load_templates(town, town_config)

    assert "Service de l’état civil" in town_config.departments["etat-civil"].address
    assert "J’ai bien" in templates.find("registration", "fr", "email").text
    assert "Téléphone\xa0: {department_phone}" in templates.find("registration", "fr", "email").text
    assert "It’s true : we" in templates.find("registration", "en", "letter").text


def test_the_registration_sms_fits_two_segments_of_the_gsm_alphabet(town_config: TownConfig) -> None:
    gsm = set("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ÄÖÑÜ§¿äöñüà") | set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    )
    templates = load_templates(EXAMPLE, town_config)
    for language in town_config.town.languages:
        for slug in town_config.departments:
            variables = standard_variables(
                town_config, department=slug, language=language, reference="P-7F3K-2Q9X-M4TC"
            )
            day = format_day(datetime(2026, 9, 30, tzinfo=UTC), town_config.town, language)
            text = templates.find("registration", language, "sms").render({**variables, "received_on": day}).text
            assert set(text) <= gsm, set(text) - gsm
            assert len(text) <= 2 * 153


def test_every_registration_names_the_day_the_department_its_address_and_phone(town_config: TownConfig) -> None:
    templates = load_templates(EXAMPLE, town_config)
    variables = standard_variables(town_config, department="voirie", language="fr", reference="P-7F3K-2Q9X-M4TC")
    for medium in MEDIA:
        rendered = templates.find("registration", "fr", medium).render({**variables, "received_on": "2 mars 2026"}).text
        for fact in ("2 mars 2026", "Voirie", "05 36 49 01 20", "voirie@example-town.example", "P-7F3K-2Q9X-M4TC"):
            assert fact in rendered


def test_a_value_is_never_read_as_a_template(town_config: TownConfig) -> None:
    answer = load_templates(EXAMPLE, town_config).find("answer", "fr", "email")
    assert "{reference} {oops" in answer.render({"text": "{reference} {oops", "reference": "P-1"}).text


def test_a_language_that_the_town_does_not_speak_gets_its_first(town_config: TownConfig) -> None:
    assert town_config.town.supported_language("tr") == "fr"
    assert localized(town_config.departments["voirie"].name, "tr") == "Voirie et éclairage"
    assert load_templates(EXAMPLE, town_config).find("answer", "tr", "sms").text.endswith("Réf. {reference}")


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("town.yaml", "sms_number: ", "smsnumber: ", "/town.yaml:15: smsnumber: unknown key (1 more problem in this file). Did you mean 'sms_number'?"),
        ("town.yaml", "time_zone: Europe/Paris", "time_zone: Europe/Pari", "/town.yaml:9: time_zone: unknown time zone 'Europe/Pari'"),
        ("town.yaml", "Europe/Paris", "*paris", "/town.yaml:9: anchors and aliases are not allowed. Write the value out."),
        ("town.yaml", "Europe/Paris", "!!python/object:os.system x", "/town.yaml:9: the tag"),
        ("town.yaml", "time_zone: Europe/Paris", "time_zone: [a", "invalid YAML"),
        ("town.yaml", "fictional: true", "fictional: true\nfictional: false", "/town.yaml:5: the key 'fictional' appears twice. Keep one of the two."),
        ("town.yaml", "7 days", "7 jours", "/town.yaml:43: clocks.receipt_within: '7 jours' is not a period"),
        ("departments.yaml", "  - slug: triage", "  - slug: tri", "there is no department 'triage'. Add it"),
        ("departments.yaml", 'phone: "+33536490110"', "phone: hello", "/departments.yaml:25: departments.1.phone: not a possible telephone number"),
        ("departments.yaml", "en: Civil registry", "de: Standesamt", "/departments.yaml:21: departments.1.name: no text in en; town.yaml lists the languages fr, en. Compare with"),
        ("departments.yaml", "slug: etat-civil", "slug: etat-civil\n    successor: voiri", "/departments.yaml:21: the successor 'voiri' is not a department. Did you mean 'voirie'?"),
        ("departments.yaml", "slug: etat-civil", "slug: etat-civil\n    successor: etat-civil", "the successors form a circle: etat-civil → etat-civil"),
        ("departments.yaml", "slug: culture-sports", "slug: culture-sports\n    successor: triage\n    sucessor: x", "Did you mean 'successor'?"),
        ("departments.yaml", "voirie@example", "etat-civil@example", "'voirie' has the same mailbox as 'etat-civil'"),
        ("departments.yaml", "body: departement", "body: departemen", "unknown body 'departemen'. Did you mean 'departement'?"),
        ("departments.yaml", "slug: triage", "slug: triage\n    body: departement", "'triage' belongs to the town itself. Remove its `body:`."),
        ("town.yaml", "12-24, 12-31", "24-12", "not a day such as"),
        ("town.yaml", "count_as: whole", "count_as: quarter", "count_as"),
        ("procedures/road-report.yaml", "department: voirie", "department: voierie", "/procedures/road-report.yaml:4: unknown department 'voierie'. Did you mean 'voirie'?"),
        ("procedures/road-report.yaml", "slug: road-report", "slug: roads", "Rename the file to roads.yaml."),
        ("procedures/road-report.yaml", "type: longtext", "type: long", "form.2"),
        ("procedures/road-report.yaml", "name: details", "name: place", "two fields are named place"),
        ("procedures/road-report.yaml", "silence_after: 2 months", "", "silence_after is required if silence_means"),
        ("templates/registration/fr/sms.txt", "{reference}", "{referense}", "unknown variable {referense}. Did you mean 'reference'?"),
        ("templates/registration/fr/sms.txt", "{reference}", "{reference", "unmatched brace"),
        ("templates/registration/fr/email.txt", "Subject: ", "Objet : ", "/email.txt:1: the subject is missing. Begin with the line `Subject: …`"),
    ],
)  # fmt: skip
def test_an_error_names_file_line_and_fix(town: Path, file: str, old: str, new: str, message: str) -> None:
    assert message in wrong(town, file, old, new)


def own_words(town: Path, place: str, text: str) -> Path:
    """Give a procedure or a department a template of its own."""
    file = town / "templates" / place / "answer" / "fr" / "sms.txt"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


def test_the_words_of_a_procedure_go_before_those_of_its_department_and_these_before_the_towns(town: Path) -> None:
    own_words(town, "procedures/water-leak", "Fuite : {text}")
    own_words(town, "departments/eau-assainissement", "Eau : {text}")
    templates = load_templates(town, load_town_config(town))

    def first_word(language: str, **whose: str) -> str:
        return templates.find("answer", language, "sms", **whose).text.partition(" ")[0]

    assert first_word("fr", department="eau-assainissement", procedure="water-leak") == "Fuite"
    assert first_word("fr", department="eau-assainissement", procedure="bulky-waste") == "Eau"
    assert first_word("fr", department="voirie").startswith("{text}")
    assert first_word("en", department="eau-assainissement", procedure="water-leak").startswith("{text}"), (
        "the language goes first"
    )


@pytest.mark.parametrize(
    ("place", "text", "message"),
    [
        ("procedures/water-leek", "{text}", "unknown name. Did you mean 'water-leak'?"),
        ("departments/eau", "{text}", "unknown name"),
        ("departments/voirie", "Voilà.", "{text} is missing"),
        ("departments/voirie", "{txt}", "unknown variable {txt}"),
    ],
)
def test_a_special_template_is_checked_like_any_other(town: Path, place: str, text: str, message: str) -> None:
    own_words(town, place, text)
    with pytest.raises(Misconfigured) as caught:
        load_templates(town, load_town_config(town))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("file", "variable"),
    [
        ("registration/fr/sms.txt", "received_on"),
        ("registration/en/letter.txt", "department_phone"),
        ("receipt/fr/letter.txt", "silence_rule"),
        ("receipt/en/email.txt", "department"),
    ],
)
def test_a_notice_that_leaves_out_what_the_law_wants_is_refused(town: Path, file: str, variable: str) -> None:
    path = town / "templates" / file
    path.write_text(path.read_text().replace(f"{{{variable}}}", "…"))
    with pytest.raises(Misconfigured, match="the law requires it"):
        load_templates(town, load_town_config(town))


def test_a_misnamed_template_is_an_error(town: Path) -> None:
    (town / "templates" / "recieved").mkdir()
    with pytest.raises(Misconfigured, match="unknown name"):
        load_templates(town, load_town_config(town))


def test_a_circle_of_three_successors_is_an_error(town: Path) -> None:
    path = town / "departments.yaml"
    text = path.read_text()
    for slug, successor in (("etat-civil", "voirie"), ("voirie", "dechets"), ("dechets", "etat-civil")):
        text = text.replace(f"slug: {slug}\n", f"slug: {slug}\n    successor: {successor}\n")
    path.write_text(text)
    with pytest.raises(Misconfigured, match="etat-civil → voirie → dechets → etat-civil"):
        load_town_config(town)


def test_work_of_a_retired_department_goes_to_its_last_successor(town: Path) -> None:
    path = town / "departments.yaml"
    path.write_text(
        path.read_text().replace("slug: culture-sports\n", "slug: culture-sports\n    successor: finances\n")
    )
    town_config = load_town_config(town)
    assert town_config.current_department("culture-sports") == "finances"
    assert town_config.current_department("unheard-of") == "triage"


def test_a_missing_folder_file_or_template_is_an_error(town: Path, tmp_path: Path) -> None:
    (town / "templates" / "answer" / "en" / "letter.txt").unlink()
    with pytest.raises(Misconfigured, match=r"Write it. It may use .*\{department\}"):
        load_templates(town, load_town_config(town))
    (town / "town.yaml").unlink()
    with pytest.raises(Misconfigured, match="cannot be read: No such file"):
        load_town_config(town)
    with pytest.raises(Misconfigured, match="not a folder"):
        load_town_config(tmp_path / "nowhere")


def test_a_yaml_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    file = tmp_path / "bomb.yaml"
    file.write_text("a: &a [x, x]\nb: [*a, *a]\n")
    with pytest.raises(Misconfigured, match=r"bomb.yaml:1: anchors and aliases"):
        read_document(file)
    file.write_text("a: " + "[" * 5000)
    with pytest.raises(Misconfigured, match="nested deeper than 40"):
        read_document(file)
    file.write_bytes(b"a: \xff\n")
    with pytest.raises(Misconfigured, match=r"bomb.yaml:1: the file is not UTF-8"):
        read_document(file)
    file.write_text("a: " + "x" * 2_000_000)
    with pytest.raises(Misconfigured, match="larger than 1 MiB"):
        read_document(file)


def test_plain_words_stay_words(tmp_path: Path) -> None:
    file = tmp_path / "words.yaml"
    file.write_text("a: no\nb: 08:30\nc: 012\nd: true\ne: 12\nf:\ng: 2026-03-02\n")
    expected = {"a": "no", "b": "08:30", "c": "012", "d": True, "e": 12, "f": None, "g": "2026-03-02"}
    assert read_document(file).value == expected


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_raise_anything_but_misconfigured(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(raw)
    with suppress(Misconfigured):
        read_document(file)


def test_days_and_numbers_are_written_as_people_write_them(town_config: TownConfig) -> None:
    late = datetime(2026, 2, 28, 23, 30, tzinfo=UTC)  # already March in the town
    assert format_day(late, town_config.town, "fr") == "1er mars 2026"
    assert format_day(late, town_config.town, "en") == "1 March 2026"
    assert format_phone("+33536490120") == "05 36 49 01 20"
    assert str(Period.model_validate("1 working day")) == "1 working day"
