"""The servers that a process needs, as it starts: their addresses as people write them, and the wait until they are up."""
