"""Run ahead: short jobs wait on nodes beyond their room."""
