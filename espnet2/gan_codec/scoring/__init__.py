"""How near decoded audio is to the original, for any codec. Nothing here knows one.

``metric`` says what a metric is, the modules named after metrics hold them, ``catalogue`` knows
them all. In a run, which ``session`` leads, ``inputs`` finds recordings, ``codes`` and ``peers``
tell what systems cost, ``pairs`` puts two recordings through metrics, ``workers`` does so in many
processes, ``versa`` has VERSA do it, ``journal`` keeps what is done, ``summary`` and
``statistics`` sum up, and ``tables``, ``records`` and ``report`` write it down.
"""
