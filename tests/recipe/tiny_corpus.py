"""Tiny synthetic corpora: one of four packages of its own, one in the shape of the open corpus."""

import gzip

import format_audio
import numpy as np
import open_corpus
import soundfile as sf

# Of run.sh --mini true.
PACKAGES = ("ktuberling-data", "ufoai-sound", "openttd-opensfx",
            "fretsonfire-songs-muldjord", "fretsonfire-songs-sectoid")  # fmt: skip
SONGS = "fretsonfire-songs-band"
HEADER = "package\tpath\tdomain\tsplit\tsource\tsr\tch\tdur\tbw60_hz\tlicence"


def tone(seconds, rate=22050, hertz=440.0, level=0.3):
    return level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write_wav(path, samples, rate=22050):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, samples, rate)


def make_corpus(root):
    """Four unpacked packages and their manifest, with one corrupt and one missing file."""
    pool, rows = root / "pool", []

    def add(package, path, domain, split, source, seconds, licence="CC0", **kind):
        write_wav(pool / package / path, tone(seconds, **kind))
        fields = (package, path, domain, split, source, 22050, 1, seconds, 11000, licence)
        rows.append("\t".join(map(str, fields)))

    for i in range(12):
        add("words", f"a{i}.wav", "speech", "train", "reader_a", 1.0 + i / 20, hertz=200 + i)
        add("words", f"b{i}.wav", "speech", "train", "reader_b", 1.2, hertz=300 + i)
        add("words", f"h{i}.wav", "speech", "train", "hw_Pirate", 1.0, hertz=400 + i)
    for i in range(6):
        add("words", f"v{i}.wav", "speech", "valid", "reader_v", 1.5, hertz=500 + i)
        add("effects", f"e{i}.wav", "sound", "train", "door", 0.9, hertz=600 + i)
    add("effects", "lone.wav", "sound", "train", "bell", 1.1, hertz=700)
    add("effects", "lone2.wav", "sound", "train", "horn", 1.2, "MIT", hertz=710)
    add("words", "lone.wav", "speech", "train", "reader_c", 1.1, hertz=720)
    add("words", "narrow.wav", "speech", "train", "tux_ca", 1.1)
    add(SONGS, "s/song.ogg", "music", "train", "band", 25.0, hertz=1000)
    add(SONGS, "s/guitar.ogg", "music", "train", "band", 25.0, hertz=2000)
    for name in ("corrupt", "short", "gone"):
        add("effects", f"{name}.wav", "sound", "train", "door", 1.0)
    (pool / "effects/corrupt.wav").write_bytes(b"RIFF" + bytes(200))
    write_wav(pool / "effects/short.wav", tone(0.5))
    (pool / "effects/gone.wav").unlink()
    add("words", "t.wav", "speech", "test", "reader_t", 5.0)
    (root / "manifest").mkdir()
    with gzip.open(root / "manifest/files.tsv.gz", "wt") as file:
        file.write("\n".join([HEADER, *rows]) + "\n")
    (root / "manifest/test_clips.tsv").write_text(
        "domain\tpath\tstart\tdur\tsource\tlicence\nspeech\twords/t.wav\t1.0\t2.5\treader_t\tCC0\n"
    )


def fill_downloads(downloads, packages, seconds=5.0):
    """Tones in place of some files of the open corpus, as if downloaded and unpacked.

    Each package gets, for every domain of training and validation, files that last ``seconds`` at
    least, and two of its test clips a domain; no song for validation, which would take longest.
    """
    files, tests = open_corpus.read_manifest(open_corpus.MANIFEST)
    for package in packages:
        deb = downloads / "debs" / f"{package}_1_all.deb"
        deb.parent.mkdir(parents=True, exist_ok=True)
        deb.touch()
    room = {}
    for row in files:
        key = row["package"], row["domain"], row["split"]
        path = f"{row['package']}/{row['path']}"
        wanted = row["package"] in packages and row["split"] != "test"
        wanted &= (row["domain"], row["split"]) != ("music", "valid")
        if wanted and not open_corpus.is_guitar(path) and room.setdefault(key, seconds) > 0:
            room[key] -= float(row["dur"])
            write_wav(downloads / "pool" / path, tone(float(row["dur"]), 8000), 8000)
    room = {}
    for row in tests:
        key = row["path"].partition("/")[0], row["domain"]
        if key[0] in packages and room.setdefault(key, 2) > 0:
            room[key] -= 1
            samples = tone(float(row["start"]) + float(row["dur"]), 8000)
            write_wav(downloads / "pool" / row["path"], samples, 8000)


def run_lists(corpus, data, *options):
    argv = ["--manifest", corpus / "manifest", "--pool", corpus / "pool", "--data", data]
    return open_corpus.main([*map(str, argv), "--debs", str(data), "--nj", "1", *options])


def run_format(corpus, data, folder, *options, name="train", nj=1):
    argv = [data / name / "clips.tsv", folder, "--pool", corpus / "pool", "--nj", nj, *options]
    return format_audio.main([*map(str, argv)])
