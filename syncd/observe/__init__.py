"""Who is told: events, the bus that carries them, metrics and logs made from them. Knows nothing of who sends."""
