"""The reference of commands, from their parsers and the examples of their help."""

import argparse
import re

from espnet2.bin.bscodec import get_parser
from espnet2.gan_codec.bscodec.cli.examples import EXAMPLES

HEAD = """# Commands

What `bscodec COMMAND --help` prints. The exit status is 0 if all is done, 1 if something failed,
2 for a command line that makes no sense, 3 where a damaged file was salvaged, and 128 and more for
signals ([which](../reliability.md)). What failed is named in one line each on standard error.
"""


def markdown() -> str:
    """Return the page."""
    (action,) = (a for a in get_parser()._actions if isinstance(a, argparse._SubParsersAction))
    sections = (_section(name, parser) for name, parser in action.choices.items())
    return "\n".join([HEAD, *sections])


def _section(name: str, parser: argparse.ArgumentParser) -> str:
    lines = [f"## bscodec {name}", "", _prose(parser.description or ""), "", "```sh"]
    for what, line in EXAMPLES[name]:
        lines += [f"# {what}", line]
    lines += ["```", "", "| option | what it does |", "|---|---|"]
    for group in parser._action_groups:
        actions = [a for a in group._group_actions if a.dest != "help"]
        if actions and group.title and not group.title.startswith(("options", "positional")):
            lines.append(f"| **{group.title}** | |")
        lines += [f"| {_names(action)} | {_prose(_help(action))} |" for action in actions]
    epilog = (parser.epilog or "").partition("examples:")[0]
    return "\n".join([*lines, "", _prose(epilog), ""])


def _names(action: argparse.Action) -> str:
    """The option as it is typed, with its values."""
    name = action.metavar or "|".join(action.choices or ()) or action.dest.upper()
    value = "" if action.nargs == 0 else str(name).replace("|", "\\|")
    if not action.option_strings:
        return f"`{value}`"
    hidden = [o for o in action.option_strings if "_" in o]  # the recipe's spelling
    options = [o for o in action.option_strings if o not in hidden]
    return ", ".join(f"`{option} {value}`".replace(" `", "`") for option in options)


def _help(action: argparse.Action) -> str:
    return re.sub(r"%\(default\)s", str(action.default), action.help or "")


def _prose(text: str) -> str:
    """Text of a terminal as Markdown: names of pages become links, signs stay signs."""
    text = re.sub(r"([*_<|\[\]])", r"\\\1", " ".join(text.split()))
    return re.sub(r"docs/([\w\\]+)\.md", lambda m: _page(m[1].replace("\\", "")), text)


def _page(name: str) -> str:
    return f"[{name}](../{name}.md)"
