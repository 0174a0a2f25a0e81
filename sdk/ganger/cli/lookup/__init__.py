"""Commands that look across things: who did what, bulk actions, a search by name, changes as they come, what runs use."""
