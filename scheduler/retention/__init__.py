"""Retention: what of the past is kept, for how long, and its purge by the leader."""
