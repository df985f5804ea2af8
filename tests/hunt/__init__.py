"""The hunt: recognisable secrets go through every feature; then all that came out is searched."""
