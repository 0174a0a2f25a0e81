"""Output as lines: where each thousandth begins, which hold what somebody looks for, which are the last. Read piece by piece, never all at once."""
