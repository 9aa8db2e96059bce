"""Constructs everything; the only place that does."""
