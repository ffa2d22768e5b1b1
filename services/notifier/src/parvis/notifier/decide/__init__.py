"""The notifier's decisions: where a reply goes, when, how often, and how it goes on. Values in, values out; no I/O."""
