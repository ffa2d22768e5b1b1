"""What a machine can say of the deployment files without a cluster, and without an engine."""


class Skipped(Exception):
    """A check that this machine cannot make; the message says why."""
