"""The expression languages: tags, expr-lang, govaluate's dialect for when, and the catalogue of variables. Pure."""
