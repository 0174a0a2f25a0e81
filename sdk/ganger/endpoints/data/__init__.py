"""The endpoints of data that has versions, and of what is looked for across things."""
