"""Checks of the deployment files that need neither a cluster nor a container engine."""


class Skipped(Exception):
    """A check that this machine cannot run; the message gives the reason."""
