"""The store of embedded mode: one SQLite file. The only room that imports sqlite3. Read `store`, then `schema`, `writer`."""
