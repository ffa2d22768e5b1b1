"""Holds the constants of every assignment: the town, its calendar, its windows. Data only."""

from dataclasses import dataclass, field

from parvis.common.town.models import TownConfig
from parvis.common.town.templates import TemplateSet
from parvis.router.decide.clarification import ClarificationPolicy
from parvis.router.decide.deadlines import TownCalendar
from parvis.router.decide.known_conversations import ConversationWindows


@dataclass(frozen=True)
class AssignmentContext:
    """Constants that are the same for every batch. `thread_key_secret` keys the hashes that link mails to their thread."""

    town_config: TownConfig
    calendar: TownCalendar
    windows: ConversationWindows
    templates: TemplateSet
    thread_key_secret: bytes = field(repr=False)
    clarification: ClarificationPolicy = field(default_factory=ClarificationPolicy)
