"""Leaves out of a query the confidential cases that somebody may not read."""

from sqlalchemy import ColumnElement, false, not_, or_

from parvis.desk.models.accounts import HiddenCases
from parvis.desk.schema.case_tables import case_file

NOTHING_HIDDEN = HiddenCases()


def is_shown(hidden: HiddenCases) -> list[ColumnElement[bool]]:
    """The conditions on `case_file`; none if nothing is hidden."""
    conditions: list[ColumnElement[bool]] = [false()] if hidden.everything else []
    if hidden.procedures:
        conditions.append(or_(case_file.c.procedure.is_(None), case_file.c.procedure.not_in(hidden.procedures)))
    if hidden.tags:
        conditions.append(not_(case_file.c.tags.overlap(list(hidden.tags))))
    return conditions
