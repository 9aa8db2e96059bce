"""What a workflow does next: a state machine without I/O. `Machine.advance(now, observations) -> Step(changed nodes, actions, wake_at)`."""
