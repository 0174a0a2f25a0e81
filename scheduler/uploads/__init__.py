"""Uploads: content that comes by signed links, and the jobs that await it as their input."""
