"""Who is told, and what is never told."""
