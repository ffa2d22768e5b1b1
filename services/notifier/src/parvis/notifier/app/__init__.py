"""Wires the notifier: the only place that constructs its clients and its parts."""
