"""Separates the text a sender wrote from what they quoted and signed with."""
