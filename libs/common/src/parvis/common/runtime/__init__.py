"""Runs a service process: settings, logs, metrics, health, time, rate limits, worker processes, sandboxes."""
