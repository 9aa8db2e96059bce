"""Where bytes live: the drivers of artifact locations, and safe archives."""
