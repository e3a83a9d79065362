"""How a model is run: fast and streaming forms of the same networks, chunks, and what they run on.

``streaming_codec`` has the two streams that users see, ``stream`` what all streams have in common,
``backend`` what the generator calls. ``executors`` has the loop over many items, in the processes
of ``process_pool`` or on the workers of ``cluster``.
"""
