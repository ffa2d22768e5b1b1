"""What a process needs to run: settings, logs, metrics, health, time, rate limits, worker processes."""
