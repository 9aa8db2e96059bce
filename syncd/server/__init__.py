"""HTTP: health, metrics, the Argo-shaped API and syncd's own."""
