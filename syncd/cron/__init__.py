"""When to fire: schedules, the decision about each slot, the ledger's rows and how they are explained. Pure."""
