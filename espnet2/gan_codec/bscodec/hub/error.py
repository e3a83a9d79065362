"""The error of this room."""


class ModelError(ValueError):
    """A model that cannot be found or loaded: one line that names the file and what is wrong."""
