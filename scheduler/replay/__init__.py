"""Replay: runs traces through the real placement code, on a hypothetical fleet, without a database."""
