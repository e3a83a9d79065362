"""Packages and archives of the open corpus: what is written, and what is refused."""

import gzip
import io
import shutil
import struct
import subprocess
import tarfile
import zipfile

import corpus_unpack
import open_corpus
import pytest
from corpus_sets import CorpusError
from tiny_corpus import tone, write_wav


def wav_bytes(folder, hertz):
    write_wav(folder / "x.wav", tone(0.1, hertz=hertz))
    return (folder / "x.wav").read_bytes()


def make_cat(entries):
    """A sound container: the table, then name length, name and RIFF of every entry."""
    table, body, offset = b"", b"", 8 * len(entries)
    for name, wav in entries:
        entry = bytes([len(name)]) + name + wav
        table += struct.pack("<II", (offset + len(body)) | 0x80000000, len(entry))
        body += entry
    return table + body


def make_group(entries):
    """A decompressed C4Group of {name: bytes of a file, or a dict of a group in it}."""
    header = bytearray(204)
    header[:25] = b"RedWolf Design GrpFolder\0"
    struct.pack_into("<i", header, 36, len(entries))
    for i in range(0, 202, 3):
        header[i], header[i + 2] = header[i + 2], header[i]
    table, body = b"", b""
    for name, content in entries.items():
        is_group = isinstance(content, dict)
        content = make_group(content) if is_group else content
        numbers = (0, is_group, len(content), 0, len(body))
        table += struct.pack("<260s5i", name.encode("latin-1"), *numbers) + bytes(36)
        body += content
    return bytes(byte ^ 237 for byte in header) + table + body


def write_group(path, entries):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x1e\x8c" + gzip.compress(make_group(entries))[2:])


def write_zip(path, entries):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def write_tgz(path, entries):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def tree(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if not p.is_dir()
    }


def test_cat_entries_have_their_numbers_as_names(tmp_path):
    wavs = [wav_bytes(tmp_path, hertz) for hertz in (300.0, 500.0)]
    entries = [(b"first\0", wavs[0]), (b"broken", b"none"), (b"last", wavs[1]), (b"", wavs[1])]
    (tmp_path / "opensfx.cat").write_bytes(make_cat(entries))
    wanted = {"00.wav", "01.wav", "02.wav"}
    found = corpus_unpack.unpack_archive(tmp_path / "opensfx.cat", tmp_path / "wav", wanted)
    assert found == 2
    assert tree(tmp_path / "wav") == {"00.wav": wavs[0], "02.wav": wavs[1]}


WRITERS = {"a.zip": write_zip, "a.pk3": write_zip, "a.tgz": write_tgz, "a.ocg": write_group}


@pytest.mark.parametrize("name", WRITERS)
def test_only_wanted_members_are_written(tmp_path, name):
    other = {"b.ogg": b"b" * 9, "../../out.ogg": b"c", "/out.ogg": b"d"}
    if WRITERS[name] is write_group:
        entries = {"sub.ocg": {"a.ogg": b"a", "deep.ocg": {"b.ogg": b"bb"}}, **other}
    else:
        entries = {"sub.ocg/a.ogg": b"a", "sub.ocg/deep.ocg/b.ogg": b"bb", **other}
    WRITERS[name](tmp_path / "in" / name, entries)
    folder = tmp_path / "in/out/deep"
    wanted = {"sub.ocg/a.ogg", "sub.ocg/deep.ocg/b.ogg", "gone.ogg"}
    assert corpus_unpack.unpack_archive(tmp_path / "in" / name, folder, wanted) == 2
    assert tree(folder) == {"sub.ocg/a.ogg": b"a", "sub.ocg/deep.ocg/b.ogg": b"bb"}
    assert set(tree(tmp_path)) == {f"in/{name}"} | {f"in/out/deep/{p}" for p in tree(folder)}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("path", ["../out.ogg", "a/../../out.ogg", "/out.ogg"])
def test_no_path_leaves_the_folder_though_it_were_listed(tmp_path, name, path):
    WRITERS[name](tmp_path / name, {path: b"a"})
    with pytest.raises(CorpusError, match="no path outside"):
        corpus_unpack.unpack_archive(tmp_path / name, tmp_path / "deep/er", {path})
    assert set(tree(tmp_path)) == {name}


@pytest.mark.parametrize("name", WRITERS)
def test_what_grows_too_large_is_refused(tmp_path, name, monkeypatch):
    WRITERS[name](tmp_path / name, {"a.ogg": bytes(200_000)})
    monkeypatch.setattr(corpus_unpack, "MAX_BYTES", 100_000)
    with pytest.raises(CorpusError, match=f"{name}: .*larger than 100000 bytes"):
        corpus_unpack.unpack_archive(tmp_path / name, tmp_path / "out", {"a.ogg"})
    assert set(tree(tmp_path)) == {name}


@pytest.mark.parametrize("name", [*WRITERS, "opensfx.cat"])
def test_a_damaged_archive_is_one_clear_error(tmp_path, name):
    """Cut short or with bytes of its first half changed, it is refused or gives what is whole."""
    path, content = tmp_path / name, bytes(range(256)) * 40
    if name == "opensfx.cat":
        path.write_bytes(make_cat([(b"x", wav_bytes(tmp_path, 300.0))]))
        wanted = {"00.wav"}
    else:
        WRITERS[name](path, {"a.ogg": content})
        wanted = {"a.ogg"}
    whole = path.read_bytes()
    damaged = [whole[:length] for length in (0, 1, 7, 100, len(whole) // 2)]
    damaged += [whole[:i] + b"\xff" * 4 + whole[i + 4 :] for i in range(0, len(whole) // 2, 17)]
    refused = 0
    for data in damaged:
        path.write_bytes(data)
        try:
            corpus_unpack.unpack_archive(path, tmp_path / "out", wanted)
        except CorpusError as error:
            refused += 1
            assert name in str(error) and "\n" not in str(error)
    assert refused >= (2 if name == "opensfx.cat" else 5)


@pytest.mark.parametrize(
    "numbers", [(-1, 0, 0), (1 << 30, 0, 0), (1, -1, 0), (1, 1 << 30, 0), (1, 0, -1)]
)
def test_a_group_whose_table_lies_is_refused(tmp_path, numbers):
    count, size, offset = numbers
    data = bytearray(make_group({"a.ogg": b"a"}))
    struct.pack_into("<2i", data, 204 + 268, size, 0)
    struct.pack_into("<i", data, 204 + 276, offset)
    header = bytearray(byte ^ 237 for byte in data[:204])  # 36 to 39 cross two groups of three
    for i in range(0, 202, 3):
        header[i], header[i + 2] = header[i + 2], header[i]
    struct.pack_into("<i", header, 36, count)
    for i in range(0, 202, 3):
        header[i], header[i + 2] = header[i + 2], header[i]
    data[:204] = bytes(byte ^ 237 for byte in header)
    (tmp_path / "a.ocg").write_bytes(data)
    with pytest.raises(CorpusError, match="table of entries is damaged|reaches past the end"):
        corpus_unpack.unpack_archive(tmp_path / "a.ocg", tmp_path / "out", {"a.ogg"})


def test_groups_in_groups_end_somewhere(tmp_path):
    entries, path = {"a.ogg": b"a"}, "a.ogg"
    for _ in range(40):
        entries, path = {"g": entries}, f"g/{path}"
    write_group(tmp_path / "a.ocg", entries)
    with pytest.raises(CorpusError, match="damaged"):
        corpus_unpack.unpack_archive(tmp_path / "a.ocg", tmp_path / "out", {path})


def make_deb(tmp_path, files):
    folder = tmp_path / "tree"
    (folder / "DEBIAN").mkdir(parents=True)
    (folder / "DEBIAN/control").write_text(
        "Package: tiny\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n"
    )
    for name, content in files.items():
        path = folder / "usr/share/tiny" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    write_group(folder / "usr/share/tiny/Sound.ocg", {"in.ocg": {"c.wav": b"c"}, "d.wav": b"d"})
    write_zip(folder / "usr/share/tiny/deep/data.pk3", {"snd/b.ogg": b"b", "map.bsp": b"m"})
    deb = tmp_path / "debs/tiny_1_all.deb"
    deb.parent.mkdir()
    subprocess.run(["dpkg-deb", "-b", folder, deb], check=True, capture_output=True)
    return deb


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg")
def test_deb_is_unpacked_once_and_whole_without_what_is_not_used(tmp_path):
    files = {"a.wav": b"a", "odd.dat": b"o", "guitar.ogg": b"g", "doc/copyright": b"free"}
    deb = make_deb(tmp_path, files | {"texture.png": b"t", "pictures/of/all.jpg": b"p"})
    listed = {"data.pk3.d/snd/b.ogg", "Sound.ocg.d/in.ocg/c.wav", "gone.zip.d/e.ogg"}
    listed |= {"usr/share/tiny/a.wav", "usr/share/tiny/odd.dat"}
    (tmp_path / "pool/.tiny.part/left").mkdir(parents=True)  # of a run that was cut off
    corpus_unpack.unpack("tiny", tmp_path / "debs", tmp_path / "pool", listed)
    kept = {f"usr/share/tiny/{name}": content for name, content in files.items()}
    kept |= {"data.pk3.d/snd/b.ogg": b"b", "Sound.ocg.d/in.ocg/c.wav": b"c"}
    assert tree(tmp_path / "pool/tiny") == kept
    assert not (tmp_path / "pool/tiny/usr/share/tiny/pictures").exists()
    assert [p.name for p in (tmp_path / "pool").iterdir()] == ["tiny"]
    deb.write_bytes(b"no longer a package")
    corpus_unpack.unpack("tiny", tmp_path / "debs", tmp_path / "pool", listed)  # already there
    shutil.rmtree(tmp_path / "pool/tiny")
    with pytest.raises(CorpusError, match="dpkg cannot unpack"):
        corpus_unpack.unpack("tiny", tmp_path / "debs", tmp_path / "pool", listed)
    assert not (tmp_path / "pool/tiny").exists()


def test_npm_parts_are_folders_of_their_package(tmp_path):
    debs, pool, package = tmp_path / "debs", tmp_path / "pool", "audio-samples-piano"
    for part in ("velocity10", "release"):
        write_tgz(debs / f"{package}-{part}-1.0.5.tgz", {"package/a.ogg": part.encode()})
    listed = {f"piano-{part}/package/a.ogg" for part in ("velocity10", "release")}
    corpus_unpack.unpack(package, debs, pool, listed)
    assert tree(pool / package) == {p: p[6:].partition("/")[0].encode() for p in listed}
    shutil.rmtree(pool)
    (debs / f"{package}-release-1.0.5.tgz").unlink()
    with pytest.raises(CorpusError, match=f"{package}.*--download"):
        corpus_unpack.unpack(package, debs, pool, listed)


def test_every_archive_of_the_shipped_manifest_is_of_a_known_kind():
    files, _ = open_corpus.read_manifest(open_corpus.MANIFEST, more=True)
    folders = {r["path"].partition("/")[0] for r in files if r["package"] != "audio-samples-piano"}
    for folder in folders - {"usr"}:
        name = corpus_unpack.FOLDERS.get(folder, folder.removesuffix(".d"))
        assert name != folder and f".{name.rpartition('.')[2]}" in corpus_unpack.KINDS
