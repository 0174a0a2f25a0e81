"""The protocol as a TLA+ module, with a runner that checks it and that each of its guards is needed."""
