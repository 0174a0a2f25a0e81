"""`ganger jobs`, `show`, `logs`, `why`, `cancel`, `requeue`, `hold`, `release`: jobs that exist."""
