"""The machines."""
