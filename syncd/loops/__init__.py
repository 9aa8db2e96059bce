"""The only code that decides (by calling down) and acts."""
