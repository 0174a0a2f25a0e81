"""What projects keep beside their jobs: schedules and data sets."""
