"""Searches of whole lists by texts: see `scheduler.store.searching`."""
