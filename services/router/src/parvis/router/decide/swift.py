"""The contract's shapes that the router reads and writes for every contact, as structs: the same names and members. Data only."""

from parvis.common import reply, routing
from parvis.common.structs import struct_of

Routing = struct_of(routing.Routing)
Suggestion = struct_of(routing.Suggestion)
Candidate = struct_of(routing.Candidate)
RunnerUp = struct_of(routing.RunnerUp)
ReplyRequested = struct_of(reply.ReplyRequested)
PersonalReply = struct_of(reply.PersonalReply)
