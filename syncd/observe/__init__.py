"""Who is told: events in, metrics, log lines and subscribers out. Nothing here decides anything."""
