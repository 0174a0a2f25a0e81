"""`ganger submit`: a new job, from the words of the command line to the wait for its end."""
