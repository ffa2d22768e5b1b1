"""The town's routing rules: what an operator wrote, checked, and compiled to one pass over a text."""

from parvis.router.rules.loading import check, load_rules, version_in
from parvis.router.rules.matching import Facts, Match, Rules
from parvis.router.rules.models import Rule, Then, When, Words

__all__ = ["Facts", "Match", "Rule", "Rules", "Then", "When", "Words", "check", "load_rules", "version_in"]
