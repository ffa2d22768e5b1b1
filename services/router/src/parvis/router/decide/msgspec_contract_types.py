"""Derives msgspec structs from the contract models that the router builds for every contact. Data only."""

from parvis.common.contract import reply
from parvis.common.contract.pydantic_to_msgspec import msgspec_struct
from parvis.common.contract.routing import decisions

Routing = msgspec_struct(decisions.Routing)
SplitSuggestion = msgspec_struct(decisions.SplitSuggestion)
CandidateConversation = msgspec_struct(decisions.CandidateConversation)
RunnerUp = msgspec_struct(decisions.RunnerUp)
ReplyRequested = msgspec_struct(reply.ReplyRequested)
ReplyPersonalData = msgspec_struct(reply.ReplyPersonalData)
