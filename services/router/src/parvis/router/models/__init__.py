"""Holds the values that pass between the router's rooms. Data only."""
