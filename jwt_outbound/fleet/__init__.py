"""Refreshing ahead for all hosts: many workers share what is due, over the database alone."""
