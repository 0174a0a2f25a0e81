"""The commands of `ganger`, a file per noun. Importing them is cheap: what is heavy is imported when it is needed."""
