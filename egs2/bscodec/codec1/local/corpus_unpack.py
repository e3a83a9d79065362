"""Unpack a package of the open corpus: the package itself, then the archives inside it.

Of an archive only the files that the manifest lists are written, under the names that the manifest
gives them: an archive cannot choose where it writes, and what is not used takes no space.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import struct
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from corpus_download import find_archives
from corpus_sets import CorpusError

MAX_BYTES = 1 << 29  # of one unpacked file, and of a whole C4Group; the longest listed has 60 MB
MAX_DEPTH = 16  # of C4Groups in C4Groups
KEPT = (".ogg", ".oga", ".wav", ".flac")  # a song's second stem, for one, is not in the manifest
# An archive NAME is unpacked to the folder NAME.d, but for those that had others before.
FOLDERS = {"pk3": "0snd.pk3", "wav": "opensfx.cat"}

Members = Iterator[tuple[str, bytes]]  # name within the archive, content
Wanted = frozenset[str] | set[str]


class ArchiveError(Exception):
    """An archive is damaged, or larger than anything that the corpus holds."""


def unpack(package: str, debs: Path, pool: Path, listed: Wanted) -> None:
    """Unpack one package to ``pool/package``, whole or not at all.

    Args:
        package: its name.
        debs: where the downloaded files lie.
        pool: where the unpacked ones go.
        listed: the paths, relative to the unpacked package, that the manifest has.

    Raises:
        CorpusError: it is not downloaded, or it is damaged.
    """
    folder, part = pool / package, pool / f".{package}.part"
    if folder.is_dir():
        return
    archives = find_archives(debs, package)
    if not archives:
        raise CorpusError(f"{debs}: {package} is not there; add --download to fetch it")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for archive, inner in archives:
        if archive.suffix == ".deb":
            unpack_deb(archive, part)
        else:
            unpack_archive(archive, part / inner, below(listed, inner))
    unpack_inner(part, listed)
    remove_unused(part, listed)
    os.replace(part, folder)


def unpack_deb(deb: Path, folder: Path) -> None:
    """Unpack a Debian package with dpkg."""
    done = subprocess.run(["dpkg", "-x", deb, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CorpusError(f"{deb}: dpkg cannot unpack it: {why}")


def unpack_inner(folder: Path, listed: Wanted) -> None:
    """Open the archives in an unpacked package that listed files come from, and delete them."""
    for name in sorted({path.partition("/")[0] for path in listed}):
        archive_name = FOLDERS.get(name, name.removesuffix(".d") if name.endswith(".d") else None)
        found = sorted(folder.rglob(archive_name)) if archive_name else []
        for archive in filter(Path.is_file, found):
            unpack_archive(archive, folder / name, below(listed, name))
            archive.unlink()


def below(listed: Wanted, folder: str) -> set[str]:
    """The listed paths in a folder, relative to it."""
    return {path[len(folder) + 1 :] for path in listed if path.startswith(f"{folder}/")}


def unpack_archive(archive: Path, folder: Path, wanted: Wanted) -> int:
    """Write the wanted members of an archive, of a kind that its suffix names.

    Returns:
        The number of files written.

    Raises:
        CorpusError: it is damaged, a member is too large, or a wanted path leaves the folder.
    """
    for path in wanted:
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise CorpusError(f"{path}: a manifest may name no path outside its package")
    written = 0
    # zipfile has NotImplementedError and RuntimeError for what it cannot read.
    faults = (ArchiveError, zipfile.BadZipFile, tarfile.TarError, zlib.error, struct.error)
    faults += (gzip.BadGzipFile, EOFError, NotImplementedError, RuntimeError)
    try:
        for name, content in KINDS[archive.suffix](archive, wanted):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            written += 1
    except faults as error:
        raise CorpusError(f"{archive}: {error}") from None
    return written


def read_zip(archive: Path, wanted: Wanted) -> Members:
    """The wanted members of a zip."""
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            if info.filename in wanted:
                with file.open(info) as member:
                    yield info.filename, read_limited(member, info.filename)


def read_tar(archive: Path, wanted: Wanted) -> Members:
    """The wanted members of a compressed tar."""
    with tarfile.open(archive, "r:gz") as file:
        for info in file:
            if info.isreg() and info.name in wanted:
                yield info.name, read_limited(file.extractfile(info), info.name)


def read_limited(member: io.BufferedIOBase, name: str) -> bytes:
    """A member's content, of at most ``MAX_BYTES`` whatever its archive says of it."""
    content = member.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ArchiveError(f"{name}: larger than {MAX_BYTES} bytes")
    return content


def read_cat(archive: Path, wanted: Wanted) -> Members:
    """The wanted entries of an OpenTTD sound container, named ``00.wav``, ``01.wav``, ...

    The file opens with pairs of little-endian uint32 (offset with a flag in bit 31, length); the
    first offset gives the number of pairs. An entry is one byte of name length, the name, and a
    RIFF WAVE. Entries of another form are left out: the listing step will report them missing.
    """
    data = archive.read_bytes()
    if len(data) < 8:
        raise ArchiveError("too short for a sound container")
    count = (struct.unpack_from("<I", data)[0] & 0x7FFFFFFF) // 8
    if not 0 < count * 8 <= len(data):
        raise ArchiveError("its table of entries is damaged")
    for index in range(count):
        name = f"{index:02d}.wav"
        offset, _ = struct.unpack_from("<II", data, index * 8)
        offset &= 0x7FFFFFFF
        riff = offset + 1 + data[offset] if offset < len(data) else offset
        if name in wanted and data[riff : riff + 4] == b"RIFF" and riff + 8 <= len(data):
            size = 8 + struct.unpack_from("<I", data, riff + 4)[0]
            yield name, data[riff : riff + size]


def read_c4group(archive: Path, wanted: Wanted) -> Members:
    """The wanted files of a C4Group (OpenClonk): gzip with a first two bytes of its own."""
    data = archive.read_bytes()
    if data[:2] == b"\x1e\x8c":
        inflate = zlib.decompressobj(wbits=31)
        data = inflate.decompress(b"\x1f\x8b" + data[2:], MAX_BYTES)
        if not inflate.eof:
            larger = len(data) == MAX_BYTES
            raise ArchiveError(f"larger than {MAX_BYTES} bytes" if larger else "cut off")
    yield from walk_c4group(memoryview(data), "", wanted, 0)


def walk_c4group(data: memoryview, folder: str, wanted: Wanted, depth: int) -> Members:
    """The wanted files of a decompressed group and of the groups in it.

    A header of 204 bytes (each XOR 237, then the outer bytes of every three exchanged) has the
    number of entries as int32 at 36. An entry of 316 bytes has a name of 260, then as int32
    whether it is packed, whether it is a group, its size, and after another its offset behind the
    table.
    """
    if len(data) < 204:
        raise ArchiveError(f"{folder or 'it'}: too short for a C4Group")
    header = bytearray(byte ^ 237 for byte in data[:204])
    header[0:202:3], header[2:204:3] = header[2:204:3], header[0:202:3]
    if not header.startswith(b"RedWolf Design GrpFolder"):
        raise ArchiveError(f"{folder or 'it'}: not a C4Group")
    (count,) = struct.unpack_from("<i", header, 36)
    base = 204 + 316 * count
    if not 204 <= base <= len(data) or depth > MAX_DEPTH:
        raise ArchiveError(f"{folder or 'it'}: its table of entries is damaged")
    for index in range(count):
        first = 204 + 316 * index
        name = bytes(data[first : first + 260]).split(b"\0")[0].decode("latin-1")
        _, is_group, size, _, offset = struct.unpack_from("<5i", data, first + 260)
        if min(size, offset) < 0 or base + offset + size > len(data):
            raise ArchiveError(f"{folder}{name}: reaches past the end")
        content = data[base + offset : base + offset + size]
        if is_group:
            if any(path.startswith(f"{folder}{name}/") for path in wanted):
                yield from walk_c4group(content, f"{folder}{name}/", wanted, depth + 1)
        elif folder + name in wanted:
            yield folder + name, bytes(content)


KINDS = {
    ".zip": read_zip,
    ".pk3": read_zip,
    ".tgz": read_tar,
    ".cat": read_cat,
    ".ocg": read_c4group,
    ".ocd": read_c4group,
}


def remove_unused(folder: Path, listed: Wanted) -> None:
    """Delete what is neither audio nor in the manifest nor a statement of copyright."""
    keep = {folder / path for path in listed}
    for path in sorted(folder.rglob("*"), reverse=True):  # files before their folders
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in keep and path.suffix.lower() not in KEPT and path.name != "copyright":
            path.unlink()
