"""What would happen: traces replayed through the real placement code, on a hypothetical fleet, without a database."""
