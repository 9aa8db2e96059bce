"""Argo's nouns, pure: what the objects are called, what they hold, how they are read and written. Unknown fields are kept."""
