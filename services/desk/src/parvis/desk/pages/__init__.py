"""Serves the pages that agents work with; every change is a POST, checked and answered with a redirect."""
