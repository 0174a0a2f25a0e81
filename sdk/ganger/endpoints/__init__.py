"""The calls of the HTTP API, a file per noun: what `client.jobs`, `client.files` and the others can do."""
