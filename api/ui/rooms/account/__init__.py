"""Who is signed in, and what administrators do."""
