"""SQL of retention: what is due, its deletion in sets, and the record of what is gone."""
