"""Holds the codes printed on separator and batch cover sheets."""
