"""Which department has a conversation, and why: the events of the router, and of the desk towards it. Pure; no I/O."""

from parvis.common.routing.decisions import (
    Candidate,
    CaseUpdated,
    ContactRouted,
    Dates,
    Routing,
    RunnerUp,
    Silence,
    Suggestion,
    Tag,
    conversation_id,
)
from parvis.common.routing.moves import (
    ConversationArrived,
    ConversationLeft,
    Stopped,
    TransferRefused,
    TransferRequested,
)
from parvis.common.routing.past import (
    History,
    PastContact,
    PastMove,
)
from parvis.common.routing.steps import (
    ConversationLinked,
    ConversationOpened,
    ConversationSplit,
    ConversationUnlinked,
    LinkRefused,
    LinkRequested,
    SplitRefused,
    SplitRequested,
)

__all__ = [
    "Candidate",
    "CaseUpdated",
    "ContactRouted",
    "ConversationArrived",
    "ConversationLeft",
    "ConversationLinked",
    "ConversationOpened",
    "ConversationSplit",
    "ConversationUnlinked",
    "Dates",
    "History",
    "LinkRefused",
    "LinkRequested",
    "PastContact",
    "PastMove",
    "Routing",
    "RunnerUp",
    "Silence",
    "SplitRefused",
    "SplitRequested",
    "Stopped",
    "Suggestion",
    "Tag",
    "TransferRefused",
    "TransferRequested",
    "conversation_id",
]
