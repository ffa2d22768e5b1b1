"""What every test has: the real `brokers`, `kafka` and `database_url`, and no assertion on how long an example takes."""

from hypothesis import settings

settings.register_profile("parvis", deadline=None)  # a busy machine is no counterexample
settings.load_profile("parvis")

pytest_plugins = ["parvis.local.fixtures"]
