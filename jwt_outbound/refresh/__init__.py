"""How a pair is refreshed: a pure flow, a driver that carries it out, threads that it runs on."""
