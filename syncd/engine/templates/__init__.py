"""One file per template type."""
