"""Decides what adding or removing tags changes in a case. No I/O."""

import re
import uuid
from collections.abc import Collection, Iterable
from dataclasses import replace

from parvis.common.contract.errors import Rejected
from parvis.common.text.folding import fold_words
from parvis.desk.decide.apply_agent_actions import ActionContext
from parvis.desk.decide.case_updated import build_case_updated
from parvis.desk.models.case import Case, CaseActionRecord, CaseChanges

MAX_TAGS = 20
_TAG = re.compile(r"[a-z][a-z0-9-]{1,30}")  # as the rules write them


def read_tag(text: str) -> str:
    """« Chantier rue Haute » is the tag `chantier-rue-haute`.

    Raises: Rejected `no_tag`, for what is none: 2 to 31 letters, digits and hyphens, a letter first.
    """
    tag = fold_words(text).replace(" ", "-")
    if not _TAG.fullmatch(tag):
        raise Rejected("no_tag")
    return tag


def change_tags(
    case: Case,
    context: ActionContext,
    *,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    locked: Collection[str] = frozenset(),
) -> CaseChanges:
    """Add tags to a case and remove others, with an entry for each that changes.

    Shape:  locked, the tags that decide who may read a case: rules alone give them.
    Raises: Rejected, with the key of its sentence: `no_tag`, `tag_locked`, `too_many_tags`.
    """
    added, removed = list(dict.fromkeys(map(read_tag, add))), list(dict.fromkeys(map(read_tag, remove)))
    if set(locked) & {*added, *removed}:
        raise Rejected("tag_locked")
    changes = [("untagged", tag) for tag in removed if tag in case.tags]
    changes += [("tagged", tag) for tag in added if tag not in case.tags]
    return record_tags(case, context, changes)


def record_tags(case: Case, context: ActionContext, changes: Collection[tuple[str, str]]) -> CaseChanges:
    """The case after tags were added (`tagged`) and removed (`untagged`). Raises: Rejected `too_many_tags`."""
    if not changes:
        return CaseChanges()
    rows = [
        CaseActionRecord(str(uuid.uuid4()), case.conversation_id, kind, context.agent.name, tag, context.at)
        for kind, tag in changes
    ]
    tags = replay_tags(case.tags, rows)
    if len(tags) > max(MAX_TAGS, len(case.tags)):
        raise Rejected("too_many_tags")
    changed = replace(case, tags=tags, changed_at=context.at)
    return CaseChanges(changed, rows, [build_case_updated(changed, context.town_config, context.at)])


def replay_tags(tags: Iterable[str], acts: Iterable[CaseActionRecord]) -> list[str]:
    """The tags after what agents added and removed, in order."""
    kept = list(tags)
    for act in acts:
        kept = [tag for tag in kept if tag != act.text]
        kept += [act.text] if act.kind == "tagged" else []
    return kept
