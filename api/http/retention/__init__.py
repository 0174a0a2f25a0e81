"""Retention over HTTP: what is due, a sweep now, what is gone."""
