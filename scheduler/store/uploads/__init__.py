"""What jobs await, and what has come of it so far."""
