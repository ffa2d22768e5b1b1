"""Answers with quotes and signatures in them: is the citizen's text whole, and is it theirs alone?"""

import base64
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parvis.common.contract.contact import PersonalContact
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
    """One mail, and what others expect of it. `is_first`: the expectation is the beginning of what is theirs."""

    name: str
    mail: bytes
    reply: str | None
    contains: tuple[str, ...] = ()
    contains_not: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()
    is_first: bool = False
    is_page: bool = False


async def run(folder: Path, stack: Stack) -> Sequence[Score]:
    cases = [*_of_files(folder), *_of_literals(folder)]
    answers = await deliver(stack, [(case.name, case.mail) for case in cases])
    written = await contacts(stack)
    said = {one.name: written.by_id[one.contact_id].personal for one in answers if one.contact_id in written.by_id}
    plain = [case for case in cases if case.reply is not None and not case.is_page]
    pages = [case for case in cases if case.reply is not None and case.is_page]
    return [
        Score("cases", "cases", len(cases)),
        Score("cases without a contact", "cases", len(cases) - len(said), "= 0"),
        _count("text lost", cases, lambda case: _is_lost(case, said[case.name]), "= 0"),
        _share("text exact, plain", plain, lambda case: _is_exact(case, said[case.name]), ">= 0.85"),
        _share("text exact, pages", pages, lambda case: _is_exact(case, said[case.name])),
        _share("text exact, all", [*plain, *pages], lambda case: _is_exact(case, said[case.name]), ">= 0.85"),
        _share("quote left in", plain, lambda case: _is_quoting(case, said[case.name])),
        _count("what must not be there", cases, lambda case: _has_too_much(case, said[case.name]), "= 0"),
    ]


def _of_files(folder: Path) -> list[_Case]:
    path = folder / "expected.json"
    expected: dict[str, list[dict[str, Any]]] = json.loads(path.read_text()) if path.exists() else {}
    cases: list[_Case] = []
    for name in _SETS:
        for number, row in enumerate(expected.get(name, [])):
            file = folder / row["file"]
            if file.exists() and "expected_signature" not in row:
                cases.append(_of_file(f"{row['file']} {row['test']} {number}", file, row))
    return cases


def _of_file(name: str, file: Path, row: dict[str, Any]) -> _Case:
    content = file.read_bytes()
    kind = "text/html" if row.get("is_html") else "text/plain"
    return _Case(
        name=name,
        mail=_marked(content, name) if row.get("is_eml") else _wrapped(content, kind, name),
        reply=row.get("expected_reply_trimmed", row.get("expected_reply")),
        contains=tuple(row.get("must_contain", ())),
        contains_not=tuple(row.get("must_not_contain", ())),
        matches=tuple(one["regex"] if isinstance(one, dict) else one for one in row.get("first_fragment_matches", ())),
        is_first="first fragment" in row.get("scope", ""),
        is_page=bool(row.get("is_html")),
    )


def _of_literals(folder: Path) -> list[_Case]:
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


def _visible(said: PersonalContact) -> str:
    """Talon takes quotes out and leaves signatures in: to it, both are the reply."""
    return f"{said.text}\n\n{said.signature}".strip()


def _squeezed(text: str) -> str:
    """Without white space, and without the marks that stand for the indent of a page's quotes."""
    return _SPACE.sub("", _MARK.sub("", text).replace("&#160;", " ").replace("&lt;", "<").replace("&gt;", ">"))


def _is_lost(case: _Case, said: PersonalContact) -> bool:
    visible = _squeezed(_visible(said))
    if case.is_page:  # what is left of a page has gaps
        return any(_squeezed(piece) not in visible for piece in (case.reply or "").split(_GAP))
    if (
        case.reply is not None
        and _squeezed(case.reply) not in visible
        and _squeezed(case.reply) not in _squeezed(said.text)
    ):
        return True
    return any(_squeezed(one) not in visible for one in case.contains) or any(
        not re.search(one, _visible(said)) for one in case.matches
    )


def _is_exact(case: _Case, said: PersonalContact) -> bool:
    wanted, made = (case.reply or "").strip(), said.text.strip()
    if case.is_page:
        return _squeezed(wanted) in (_squeezed(made), _squeezed(_visible(said)))
    return wanted in (made, _visible(said))


def _is_quoting(case: _Case, said: PersonalContact) -> bool:
    return bool(_REPLY_LINE.search(said.text)) and not _REPLY_LINE.search(case.reply or "")


def _has_too_much(case: _Case, said: PersonalContact) -> bool:
    return any(one in said.text for one in case.contains_not)


def _count(metric: str, cases: Sequence[_Case], judge: Callable[[_Case], bool], target: str) -> Score:
    found = [case.name for case in cases if judge(case)]
    if found:
        print(f"      {metric}: {', '.join(found)}", flush=True)
    return Score(metric, "cases", len(found), target)


def _share(metric: str, cases: Sequence[_Case], judge: Callable[[_Case], bool], target: str = "") -> Score:
    found = [case.name for case in cases if judge(case)]
    missed = [case.name for case in cases if case.name not in found] if target or "exact" in metric else found
    if missed:
        print(f"      {metric}, not so or so: {', '.join(missed)}", flush=True)
    return Score(metric, "share", len(found) / len(cases) if cases else 1.0, target)


CORPUS = Corpus(
    name="email_reply",
    folder="email-reply",
    question="Is what citizens wrote whole, and set apart from what they quote and sign with?",
    run=run,
)
