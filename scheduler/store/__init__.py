"""All SQL. Functions take an open connection `tx` first, never begin, commit or roll back, and return records.

There is no object-relational mapping here: a change of state must be one guarded statement in plain view
(`jobs.move`, `executions.move`), and the hot path works in sets. Lock order is node, job, execution, ids ascending.
"""
