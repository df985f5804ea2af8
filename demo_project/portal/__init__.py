"""The backend whose users log in, and which calls billing on their behalf."""
