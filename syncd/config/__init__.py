"""Every knob: name, unit, default, meaning. Read from text and a mapping, never from disk."""
