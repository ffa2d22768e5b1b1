"""Runs the classifier and the text embedder in isolated worker processes."""
