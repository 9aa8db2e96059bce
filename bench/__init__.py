"""`python -m bench`: what is hot, measured beside its baseline in the same run. See docs/performance.md."""
