"""The contract's shapes that the router reads and writes for every contact, as structs: the same names and members. Data only."""

from parvis.common.contract import reply
from parvis.common.contract.msgspec_models import struct_of
from parvis.common.contract.routing import decisions

Routing = struct_of(decisions.Routing)
Suggestion = struct_of(decisions.Suggestion)
Candidate = struct_of(decisions.Candidate)
RunnerUp = struct_of(decisions.RunnerUp)
ReplyRequested = struct_of(reply.ReplyRequested)
PersonalReply = struct_of(reply.PersonalReply)
