"""What to change: desired and live objects in, a plan out. Pure; called by `loops.sync` and nobody else."""
