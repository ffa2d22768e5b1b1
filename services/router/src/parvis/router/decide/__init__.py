"""A contact and what is known in, the department and everything that follows from it out. Pure; no I/O."""

from parvis.router.decide.clocks import Calendar, Due
from parvis.router.decide.conversation import Known, Windows, resolve
from parvis.router.decide.department import Decision, decide
from parvis.router.decide.notices import registration

__all__ = ["Calendar", "Decision", "Due", "Known", "Windows", "decide", "registration", "resolve"]
