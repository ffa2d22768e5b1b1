"""Models who is absent from a department until when. Data only."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Absence:
    """An agent of a department is away until an instant. `deputy` gets their open cases; empty: nobody does."""

    department: str
    agent: str
    absence_id: str
    begins_at: datetime
    until_at: datetime
    deputy: str
    noted_by: str

    @property
    def last_day(self) -> datetime:
        """An instant of the last day of the absence, in the town's time zone."""
        return self.until_at - timedelta(seconds=1)
