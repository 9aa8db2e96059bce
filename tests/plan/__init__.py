"""Laws and tables of the plan: what is written, what is never touched, what is held."""
