"""Schedules: jobs that start by themselves at the times they should, through downtime and changes of clocks."""
