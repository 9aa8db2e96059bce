"""syncd: GitOps for Argo Workflows. `docs/architecture.md` has the map of the rooms."""

__version__ = "0.1.0"
