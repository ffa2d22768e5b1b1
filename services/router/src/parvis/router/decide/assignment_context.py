"""Holds what every assignment needs beside the contact: the town, its calendar, its windows. Data only."""

from dataclasses import dataclass, field

from parvis.common.town.models import TownConfig
from parvis.common.town.templates import TemplateSet
from parvis.router.decide.clarification import ClarificationPolicy
from parvis.router.decide.deadlines import TownCalendar
from parvis.router.decide.known_conversations import ConversationWindows


@dataclass(frozen=True)
class AssignmentContext:
    """The same for every batch. `thread_key_secret` is the key of the hashes that tie mails to their thread."""

    town_config: TownConfig
    calendar: TownCalendar
    windows: ConversationWindows
    templates: TemplateSet
    thread_key_secret: bytes = field(repr=False)
    clarification: ClarificationPolicy = field(default_factory=ClarificationPolicy)
