"""Files: the .bsc format, audio in and out, pictures of audio, and atomic writes."""
