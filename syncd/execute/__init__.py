"""Who does the work: staging, the sandbox or container, capture of outputs, logs, secrets. A door to processes."""
