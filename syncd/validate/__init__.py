"""What is wrong before anything runs: all problems at once, each with code, place and remedy. Pure."""
