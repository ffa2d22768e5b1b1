"""Stores and reads how far each hosted mailbox has been emptied."""
