"""Where objects live: small protocols (`api`), implemented in memory (tests), in SQLite (`embedded`) and by the API server (`kube`)."""
