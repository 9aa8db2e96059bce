"""Git, hardened: the one door to it, for sources and for git artifacts."""
