"""The service's HTTP surface, a file per family of routes."""
