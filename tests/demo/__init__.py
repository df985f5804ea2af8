"""The demo's two services as real processes, driven over HTTP."""
