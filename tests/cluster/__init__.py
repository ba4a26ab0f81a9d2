"""A real Kubernetes API for the tests: built from Go modules once, cached by version, started on loopback."""
