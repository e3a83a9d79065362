"""How near decoded audio is to the original, for any codec. Nothing here knows one.

``metrics`` holds them, one a module, and their catalogue. ``run`` scores a whole test set:
``inputs`` finds utterances, ``codes`` and ``peers`` say what bitrate systems have, ``pairs`` puts
two utterances through metrics, ``workers`` does so in many processes, ``versa`` has VERSA do it,
``journal`` keeps what is done, ``summary`` and ``statistics`` sum up, and ``tables``, ``records``
and ``report`` write it down.
"""
