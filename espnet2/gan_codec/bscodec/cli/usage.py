"""The error of a command line."""


class UsageError(ValueError):
    """A command line that makes no sense: exit status 2."""
