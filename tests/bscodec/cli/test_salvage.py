"""Cut files, foreign files and pipes as inputs of the command."""

import os

import pytest

from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio

from ..experiments import assert_one_error, tree, write_audio
from ..format.sounds import ffmpeg


def test_cut_files_are_refused_or_salvaged(bscodec):
    write_audio("a.wav", 24000)
    os.truncate("a.wav", 44 + 24000)
    reason = "a.wav: cut short: 24000 of 48000 bytes of audio are there"
    assert_one_error(bscodec("encode a.wav -o a.bsc"), reason)
    assert tree() == ["a.wav"]
    salvaged = bscodec("encode a.wav -o a.bsc --salvage")
    assert salvaged.status == 0 and len(salvaged.err.splitlines()) == 1
    assert salvaged.notes == [
        "bscodec: note: a.wav: salvaged 0.50 s: cut short: 24000 of 48000 bytes of audio are there"
    ]
    assert EncodedAudio.load("a.bsc").num_samples == 12000


def test_salvage_says_nothing_of_whole_files(bscodec):
    write_audio("a.wav")
    bscodec("encode a.wav -o a.bsc")
    assert bscodec("encode a.wav -o b.bsc --salvage").err == ""
    assert EncodedAudio.load("a.bsc") == EncodedAudio.load("b.bsc")


def test_files_that_only_ffmpeg_reads_are_coded(bscodec):
    write_audio("in/a.wav", 24000)
    ffmpeg("-i", "in/a.wav", "-c:a", "aac", "in/b.m4a")
    assert bscodec("encode in -o out").status == 0
    assert tree("out") == ["a.bsc", "b.bsc"]
    assert 24000 <= EncodedAudio.load("out/b.bsc").num_samples <= 26048


def test_rates_below_all_audio_are_refused(bscodec):
    write_audio("low.wav", 65536, rate=1)
    assert_one_error(bscodec("encode low.wav -o a.bsc"), "low.wav: 1 Hz is no rate of audio")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_are_refused_and_do_not_wait(bscodec):
    write_audio("in/a.wav")
    os.mkfifo("in/b.wav")
    os.mkfifo("c.bsc")
    refused = "is a pipe or device, not a regular file"
    assert_one_error(bscodec("encode in/b.wav -o b.bsc"), f"in/b.wav: {refused}")
    assert_one_error(bscodec("decode c.bsc -o c.wav"), f"c.bsc: {refused}")
    assert_one_error(bscodec("info c.bsc"), f"c.bsc: {refused}")
    folder = bscodec("encode in -o out")
    assert_one_error(folder, f"in/b.wav: {refused}")
    assert tree("out") == ["a.bsc"] and "2 files: 1 made, 1 failed" in folder.out
    tokens = bscodec("tokenize in -o tokens --nj 1")
    assert tokens.status == 0 and "1 utterance coded, 1 skipped" in tokens.out


@pytest.mark.parametrize("options", ["--nj 1", "--nj 1 --batch-seconds 5"])
def test_a_corpus_is_salvaged(bscodec, options):
    for name in ("a", "b", "c"):
        write_audio(f"in/{name}.wav", 24000)
    os.truncate("in/b.wav", 44 + 24000)
    os.truncate("in/c.wav", 20)
    skipped = bscodec(f"tokenize in -o tokens {options}")
    assert "1 utterance coded, 2 skipped" in skipped.out and skipped.notes == []
    salvaged = bscodec(f"tokenize in -o tokens --retry-skipped --salvage {options}")
    assert salvaged.status == 0 and "2 utterances coded, 1 skipped" in salvaged.out
    assert salvaged.notes == [
        "bscodec: note: b: salvaged 0.50 s: cut short: 24000 of 48000 bytes of audio are there"
    ]
    with open("tokens/skipped.tsv") as file:
        assert [line.split("\t")[0] for line in file][-1] == "c"
