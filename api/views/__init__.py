"""From rows to what the API shows: plain dictionaries, nulls explicit, amounts in units."""
