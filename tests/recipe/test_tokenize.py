"""local/tokenize.sh: jobs make the shards, the last step the index."""

from trial import copy_recipe, run, table, write_tone

from espnet2.bin.bscodec import main


def test_jobs_make_what_one_process_makes(tmp_path, monkeypatch):
    folder = copy_recipe(tmp_path)
    lines = []
    for i in range(5):
        write_tone(folder / f"audio/tone{i}.wav", 0.2 + 0.1 * i, hertz=200.0 * (i + 1))
        lines.append(f"tone{i} audio/tone{i}.wav\n")
    (folder / "wav.scp").write_text("".join(lines) + "gone audio/gone.wav\n")
    script = ["local/tokenize.sh", "--nj", 2, "--tokenize_args", "--shard-size 2"]
    done = run(folder, *script, "bscodec-mini", "wav.scp", "dump/tokens")
    assert "2 jobs: " in done.stdout and "hours of audio per hour together" in done.stdout
    out = folder / "dump/tokens"
    assert list(table(out / "utt2num_frames")) == [f"tone{i}" for i in range(5)]
    assert (out / "skipped.tsv").read_text().startswith("gone\taudio/gone.wav\t")
    monkeypatch.chdir(folder)
    assert main("tokenize wav.scp -o alone --shard-size 2 --nj 1 --device cpu".split()) == 0
    for shard in (folder / "alone/shards").iterdir():
        assert (out / "shards" / shard.name).read_bytes() == shard.read_bytes()


def test_a_wrong_call_is_told_in_one_line(tmp_path):
    folder = copy_recipe(tmp_path)
    done = run(folder, "local/tokenize.sh", "bscodec-mini", "no.scp", "out", check=False)
    assert done.returncode == 1
    assert done.stderr == "tokenize.sh: no.scp: no such file; it is what is to be tokenized\n"
