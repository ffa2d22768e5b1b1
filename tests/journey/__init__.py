"""Makes the journeys a package, so that pytest ends their shared fixtures with the last of them."""
