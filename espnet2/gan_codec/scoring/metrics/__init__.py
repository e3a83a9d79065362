"""The metrics, one a module, and the catalogue that knows them by name."""
