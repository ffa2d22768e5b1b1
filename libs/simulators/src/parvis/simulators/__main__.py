"""Start the outside world from PARVIS_OUTSIDE_* and run it until SIGTERM or SIGINT."""

import sys

from parvis.simulators.app import main

if __name__ == "__main__":
    sys.exit(main())
