"""The endpoints of data that has versions."""
