"""Models a procedure that can be asked for by Open311. Data only."""

from dataclasses import dataclass

from parvis.common.town.form_fields import AddressField, FormField, LongTextField
from parvis.common.town.models import Procedure


@dataclass(frozen=True)
class ReportForm:
    """The fields of its place and its description, and the others that are no files."""

    procedure: Procedure
    place: AddressField
    description: LongTextField
    attributes: tuple[FormField, ...]
