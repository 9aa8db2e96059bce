"""Where objects live in a cluster: the API server, through the official client."""
