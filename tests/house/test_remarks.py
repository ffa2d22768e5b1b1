"""Tests that every remark code of the ingest services has its sentence at the desk."""

import re

import yaml

from tests.house.tree import ROOT, services

CODE = re.compile(r'\.(?:add_)?remark\("([a-z-]+)"')
VERDICTS = re.compile(r'"((?:smime|pgp)-(?:valid|broken|not-verified))"')


def test_every_remark_code_has_its_sentence_in_both_languages():
    doors = [service for service in services() if service.name.startswith("ingest-")]
    sources = "\n".join(file.read_text() for door in doors for file in door.glob("src/**/*.py"))
    codes = set(CODE.findall(sources)) | set(VERDICTS.findall(sources))
    words = {
        language: yaml.safe_load((ROOT / f"services/desk/src/parvis/desk/words/{language}.yaml").read_text())
        for language in ("fr", "en")
    }

    assert len(codes) > 8
    for language, translations in words.items():
        assert not codes - set(translations["remark"]), language
