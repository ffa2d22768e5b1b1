"""What the router reads while it runs: the rules on disk, and what a trained model makes of a text."""

from parvis.router.read.guesser import Guesser, Guessing
from parvis.router.read.live_model import LiveModel
from parvis.router.read.live_rules import LOOK_EVERY_S, LiveRules

__all__ = ["LOOK_EVERY_S", "Guesser", "Guessing", "LiveModel", "LiveRules"]
