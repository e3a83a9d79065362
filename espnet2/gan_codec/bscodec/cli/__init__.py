"""The subcommands of ``bscodec``, a module each.

A module has ``HELP`` (a line), perhaps ``DESCRIPTION`` and ``EPILOG``, ``add_arguments(parser)``
and ``run(args)``, which returns the exit status. Heavy imports belong into ``run``: ``--help`` and
``info`` should not wait for torch.
"""
