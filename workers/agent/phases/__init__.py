"""The steps of one execution, in story order: pre → job → post → finish; `stop` may cut in anywhere.

Each step is a function of the desk and what is held; it changes the latter, adds effects, and ends with the
execution waiting for exactly one event.
"""
