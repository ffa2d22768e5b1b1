"""A package for pytest: what its tests share ends with the last of them."""
