"""Tools that know nothing of Argo: errors, problems, clocks, ids, units, YAML text. No I/O here or in any room up to `validate`."""
