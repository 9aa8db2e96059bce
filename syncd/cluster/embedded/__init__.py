"""The store of embedded mode: one SQLite file. The only import of sqlite3."""
