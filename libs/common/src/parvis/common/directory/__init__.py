"""What an operator wrote in `config/<town>/`, as checked values: the town, its departments, procedures and templates."""

from parvis.common.directory.clocks import (
    WEEKDAYS,
    Clocks,
    HalfDays,
    Period,
)
from parvis.common.directory.forms import (
    AddressField,
    Choice,
    ChoiceField,
    ConsentField,
    DateField,
    EmailField,
    FileField,
    FormField,
    LongTextField,
    PhoneField,
    TextField,
)
from parvis.common.directory.loading import check_department, load_directory
from parvis.common.directory.models import (
    Body,
    Department,
    Directory,
    Procedure,
    Town,
    said_in,
)
from parvis.common.directory.reading import Document, closest, read_document, validate
from parvis.common.directory.templates import (
    DEPARTMENTS,
    MEDIA,
    PROCEDURES,
    TEMPLATES,
    Rendered,
    Template,
    Templates,
    load_templates,
    media_of,
)
from parvis.common.directory.values import (
    ConfigModel,
    LocalText,
)
from parvis.common.directory.wording import spoken_day, spoken_phone, standard_variables

__all__ = [
    "DEPARTMENTS",
    "MEDIA",
    "PROCEDURES",
    "TEMPLATES",
    "WEEKDAYS",
    "AddressField",
    "Body",
    "Choice",
    "ChoiceField",
    "Clocks",
    "ConfigModel",
    "ConsentField",
    "DateField",
    "Department",
    "Directory",
    "Document",
    "EmailField",
    "FileField",
    "FormField",
    "HalfDays",
    "LocalText",
    "LongTextField",
    "Period",
    "PhoneField",
    "Procedure",
    "Rendered",
    "Template",
    "Templates",
    "TextField",
    "Town",
    "check_department",
    "closest",
    "load_directory",
    "load_templates",
    "media_of",
    "read_document",
    "said_in",
    "spoken_day",
    "spoken_phone",
    "standard_variables",
    "validate",
]
