"""Verifies forms before they are accepted: own tokens, same origin, rate limits."""
