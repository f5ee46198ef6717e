"""Pictures and texts of what is remembered: maps and graphs."""
