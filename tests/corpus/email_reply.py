"""Measures whether replies are split into the citizen's own text, quotes and signature without losing text."""

import base64
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parvis.common.contract.contact import ContactPersonalData
from parvis.local.stack import Stack
from tests.corpus.corpus import Corpus, Score
from tests.corpus.mail_door import contacts, deliver

_SPACE = re.compile(r"\s+")
_MARK = re.compile(r"^[ >]+", re.MULTILINE)
_TAG = re.compile(r"<[^>]*>")
_REPLY_LINE = re.compile(r"^(?:>|On .{10,200} wrote:$)", re.MULTILINE)
_GAP = "\N{NO-BREAK SPACE}"
_SETS = ("crisp", "zapier", "talon")


@dataclass(frozen=True)
class _Case:
    """One mail and the expected result; `is_first` if only the beginning of the reply is given."""

    name: str
    mail: bytes
    reply: str | None
    contains: tuple[str, ...] = ()
    contains_not: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()
    is_first: bool = False
    is_page: bool = False


async def run(folder: Path, stack: Stack) -> Sequence[Score]:
    cases = [*_cases_from_files(folder), *_cases_from_literals(folder)]
    answers = await deliver(stack, [(case.name, case.mail) for case in cases])
    written = await contacts(stack)
    personal = {
        answer.name: written.by_id[answer.contact_id].personal
        for answer in answers
        if answer.contact_id in written.by_id
    }
    plain = [case for case in cases if case.reply is not None and not case.is_page]
    pages = [case for case in cases if case.reply is not None and case.is_page]
    return [
        Score("cases", "cases", len(cases)),
        Score("cases without a contact", "cases", len(cases) - len(personal), "= 0"),
        _count("text lost", cases, lambda case: _is_lost(case, personal[case.name]), "= 0"),
        _share("text exact, plain", plain, lambda case: _is_exact(case, personal[case.name]), ">= 0.85"),
        _share("text exact, pages", pages, lambda case: _is_exact(case, personal[case.name])),
        _share("text exact, all", [*plain, *pages], lambda case: _is_exact(case, personal[case.name]), ">= 0.85"),
        _share("quote left in", plain, lambda case: _is_quoting(case, personal[case.name])),
        _count("what must not be there", cases, lambda case: _has_too_much(case, personal[case.name]), "= 0"),
    ]


def _cases_from_files(folder: Path) -> list[_Case]:
    path = folder / "expected.json"
    expected: dict[str, list[dict[str, Any]]] = json.loads(path.read_text()) if path.exists() else {}
    cases: list[_Case] = []
    for name in _SETS:
        for number, row in enumerate(expected.get(name, [])):
            file = folder / row["file"]
            if file.exists() and "expected_signature" not in row:
                cases.append(_case_from_file(f"{row['file']} {row['test']} {number}", file, row))
    return cases


def _case_from_file(name: str, file: Path, row: dict[str, Any]) -> _Case:
    content = file.read_bytes()
    kind = "text/html" if row.get("is_html") else "text/plain"
    return _Case(
        name=name,
        mail=_marked(content, name) if row.get("is_eml") else _wrapped(content, kind, name),
        reply=row.get("expected_reply_trimmed", row.get("expected_reply")),
        contains=tuple(row.get("must_contain", ())),
        contains_not=tuple(row.get("must_not_contain", ())),
        matches=tuple(
            match["regex"] if isinstance(match, dict) else match for match in row.get("first_fragment_matches", ())
        ),
        is_first="first fragment" in row.get("scope", ""),
        is_page=bool(row.get("is_html")),
    )


def _cases_from_literals(folder: Path) -> list[_Case]:
    path = folder / "talon_inline_cases.json"
    written: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    cases: list[_Case] = []
    for kind in ("plain", "html"):
        for number, row in enumerate(written.get(kind, [])):
            name = f"talon {kind} {number} {row['test']}"
            reply = row["expected"] if kind == "plain" else _TAG.sub(_GAP, row["expected"])
            mail = _wrapped(row["input"].encode(), f"text/{kind}", name)
            cases.append(_Case(name, mail, reply, is_page=kind == "html"))
    return cases


def _wrapped(content: bytes, kind: str, name: str) -> bytes:
    head = f"From: camille@citizens.example\nSubject: Re: x\nX-Case: {name}\nContent-Type: {kind}; charset=utf-8\n"
    return head.encode() + b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(content)


def _marked(content: bytes, name: str) -> bytes:
    return f"X-Case: {name}\n".encode() + content


def _visible(personal: ContactPersonalData) -> str:
    """Talon removes quotes but keeps signatures: join text and signature."""
    return f"{personal.text}\n\n{personal.signature}".strip()


def _squeezed(text: str) -> str:
    """Remove white space and the `>` that stand for the indent of quotes in HTML."""
    return _SPACE.sub("", _MARK.sub("", text).replace("&#160;", " ").replace("&lt;", "<").replace("&gt;", ">"))


def _is_lost(case: _Case, personal: ContactPersonalData) -> bool:
    visible = _squeezed(_visible(personal))
    if case.is_page:  # the expected text of HTML has gaps
        return any(_squeezed(piece) not in visible for piece in (case.reply or "").split(_GAP))
    if (
        case.reply is not None
        and _squeezed(case.reply) not in visible
        and _squeezed(case.reply) not in _squeezed(personal.text)
    ):
        return True
    return any(_squeezed(text) not in visible for text in case.contains) or any(
        not re.search(pattern, _visible(personal)) for pattern in case.matches
    )


def _is_exact(case: _Case, personal: ContactPersonalData) -> bool:
    expected, actual = (case.reply or "").strip(), personal.text.strip()
    if case.is_page:
        return _squeezed(expected) in (_squeezed(actual), _squeezed(_visible(personal)))
    return expected in (actual, _visible(personal))


def _is_quoting(case: _Case, personal: ContactPersonalData) -> bool:
    return bool(_REPLY_LINE.search(personal.text)) and not _REPLY_LINE.search(case.reply or "")


def _has_too_much(case: _Case, personal: ContactPersonalData) -> bool:
    return any(text in personal.text for text in case.contains_not)


def _count(metric: str, cases: Sequence[_Case], judge: Callable[[_Case], bool], target: str) -> Score:
    matching = [case.name for case in cases if judge(case)]
    if matching:
        print(f"      {metric}: {', '.join(matching)}", flush=True)
    return Score(metric, "cases", len(matching), target)


def _share(metric: str, cases: Sequence[_Case], judge: Callable[[_Case], bool], target: str = "") -> Score:
    matching = [case.name for case in cases if judge(case)]
    missed = [case.name for case in cases if case.name not in matching] if target or "exact" in metric else matching
    if missed:
        print(f"      {metric}, not so or so: {', '.join(missed)}", flush=True)
    return Score(metric, "share", len(matching) / len(cases) if cases else 1.0, target)


CORPUS = Corpus(
    name="email_reply",
    folder="email-reply",
    question="Is the citizen's text complete and separated from quotes and signature?",
    run=run,
)
