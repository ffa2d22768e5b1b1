"""Holds the values of a form: what was filled in, its files, its problems, the names of its inputs."""
