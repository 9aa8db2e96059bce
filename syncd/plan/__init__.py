"""What to change: the difference between desired and live, its order, and the guards that hold it back. Pure."""
