"""`ganger tokens`, `projects`, `errors`: who may do what, who shares the machines, what failures are called."""
