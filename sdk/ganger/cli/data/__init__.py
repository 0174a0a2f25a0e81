"""`ganger types`, `files`: what jobs are made of, and what they read and write."""
