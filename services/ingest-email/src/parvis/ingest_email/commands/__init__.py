"""Adds commands about mail to `parvis`."""
