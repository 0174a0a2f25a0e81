"""`ganger nodes`, `pools`, `scale`, `drain`, `pause`, `resume`: the machines that run jobs."""
