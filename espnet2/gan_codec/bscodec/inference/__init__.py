"""How a model is run: fast and streaming forms of the same networks, threads, chunks.

``streaming_codec`` has the two streams that users see, ``stream`` what all streams have in common,
``backend`` what the generator calls.
"""
