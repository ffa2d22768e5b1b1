"""Records from Kafka in; rows, then records for departments and the notifier out."""

from parvis.router.consume.batch import Router
from parvis.router.consume.mail import Arrival, Mail

__all__ = ["Arrival", "Mail", "Router"]
