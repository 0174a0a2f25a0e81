"""The steps of one execution, in story order: pre → job → post → finish. `stop` may cut in at any of them.

Each step is a function of the context and the execution. It changes the execution, issues commands, and ends with the
execution waiting for exactly one event. `sequence` says which step follows the command of a phase.
"""
