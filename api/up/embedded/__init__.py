"""PostgreSQL and Valkey for people who have neither: found in wheels, run under our own supervision.

Nothing here knows of jobs or nodes; `api.up.main` puts these servers and Ganger's roles together.
"""
