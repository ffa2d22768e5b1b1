"""Defines the values that the router's packages share. Data only."""
