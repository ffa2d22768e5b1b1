"""Starts the simulators from PARVIS_OUTSIDE_* and runs them until SIGTERM or SIGINT."""

import sys

from parvis.simulators.app import main

if __name__ == "__main__":
    sys.exit(main())
