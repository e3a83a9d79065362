"""How near decoded audio is to the original: one metric a module, behind one interface.

``metric`` says what a metric is, the modules named after a metric hold one each, and ``pairs``
puts a pair of recordings through any of them. Nothing here knows a codec.
"""
