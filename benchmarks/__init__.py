"""How long it takes and what it costs, measured beside what a bare `requests` call costs."""
