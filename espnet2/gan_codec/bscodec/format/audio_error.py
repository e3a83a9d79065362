"""What is raised for audio that cannot be read or written."""


class AudioError(ValueError):
    """Audio that cannot be read or written as asked: one line that names the file."""


class DecoderError(Exception):
    """What a decoder says of a file, in one line that does not name it."""
