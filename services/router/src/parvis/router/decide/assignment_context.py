"""Holds the constants of every assignment: the town, its calendar, its windows. Data only."""

from dataclasses import dataclass, field

from parvis.common.town.models import TownConfig
from parvis.common.town.templates import TemplateSet
from parvis.router.decide.clarification import ClarificationTimeout
from parvis.router.decide.conversation_working_set import ConversationWindows
from parvis.router.decide.deadlines import TownCalendar


@dataclass(frozen=True)
class AssignmentContext:
    """Constants that are the same for every batch. `thread_key_secret` keys the hashes that link mails to their thread."""

    town_config: TownConfig
    calendar: TownCalendar
    windows: ConversationWindows
    templates: TemplateSet
    thread_key_secret: bytes = field(repr=False)
    clarification: ClarificationTimeout = field(default_factory=ClarificationTimeout)
