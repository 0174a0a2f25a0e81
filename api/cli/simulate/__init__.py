"""`ganger simulate`: a workload is replayed through the scheduler's own code on a fleet that need not exist."""
