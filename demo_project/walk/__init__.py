"""The demo's story told in the terminal: a visitor over real HTTP, a line for each step."""
