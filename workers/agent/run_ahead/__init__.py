"""Run ahead: what waits on this node beyond its room, and is started here without asking anybody."""
