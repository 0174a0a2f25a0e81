"""The commands about workflows."""
