"""What two services must agree on: events, topics, references, ids, and the families of errors. Pure; no I/O."""
