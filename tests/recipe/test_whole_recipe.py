"""Stages 4 to 9: from statistics to an archive, again, after a kill, and from a release."""

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import jobs
import numpy as np
import pytest
import soundfile as sf
import tiny_corpus
import torch
import yaml
from corpus_sets import read_set
from trial import copy_recipe, run, table, write_tone

from tests.espnet.test_stock_commands import CONFIG
from tests.hub_server import TOKEN

SETS = ("test_speech", "test_sound", "test_music")
SCORING = "--metrics mel,stft --no-report"
TINY = {**CONFIG, "max_epoch": 1, "batch_size": 4, "chunk_length": 20000}
RELEASED = "BSCodec_band_simvq_3band"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A recipe after stages 1 to 8 of its mini form, with tones and a still smaller model."""
    folder = copy_recipe(tmp_path_factory.mktemp("recipe"))
    (folder / "conf/train_tiny.yaml").write_text(yaml.safe_dump(TINY))
    tiny_corpus.fill_downloads(folder / "downloads", tiny_corpus.PACKAGES)
    run(folder, *mini(folder), "--stop_stage", 8)
    return folder


def mini(folder):
    return ["./run.sh", "--mini", "true", "--nj", 1, "--train_config", "conf/train_tiny.yaml",
            "--train_args", "--seed 1", "--scoring_args", SCORING]  # fmt: skip


def experiment(folder):
    return folder / "exp/codec_mini_raw_fs24000"


def decoded(folder, name):
    return experiment(folder) / "decode_valid.mel_loss.best" / name


def times(folder, pattern):
    return {path: path.stat().st_mtime_ns for path in folder.rglob(pattern)}


def test_all_domains_are_there_and_test_sources_are_apart(trained):
    trained_on = {u.source for u in read_set(trained / "downloads/open_corpus/segments/train_all")}
    assert {u.split("-")[0] for u in table(trained / "data/train_all/wav.scp")} == {
        "speech", "sound", "music"
    }  # fmt: skip
    assert (trained / "data/dev_sub/wav.scp").stat().st_size
    for name in SETS:
        tested = {u.source for u in read_set(trained / "downloads/open_corpus/segments" / name)}
        assert tested and not tested & trained_on


def test_audio_and_codes_are_collected_at_the_input_s_length(trained):
    for name in SETS:
        inputs = table(trained / "dump/raw" / name / "wav.scp")
        wavs = table(decoded(trained, name) / "wav.scp")
        codes = table(decoded(trained, name) / "codec.scp")
        assert wavs.keys() == codes.keys() == inputs.keys() and inputs
        for utt, path in inputs.items():
            frames = sf.info(path).frames
            info = sf.info(trained / wavs[utt])
            assert (info.frames, info.samplerate, info.channels) == (frames, 24000, 1)
            shape = np.load(trained / codes[utt], allow_pickle=False).shape
            assert sorted(n for n in shape if n != 1) == [3, -(-frames // 320)]


def test_one_table_has_the_scores_of_all_test_sets(trained):
    scores = decoded(trained, "scores")
    (row,) = json.loads((scores / "summary.json").read_text())["systems"].items()
    assert row[0] == "mini decode_valid.mel_loss.best"
    for result in row[1]["domains"].values():
        assert result["pairs"] == 2 and {"mel", "STFT"} == result["metrics"].keys()
    assert row[1]["domains"].keys() == {"speech", "sound", "music"}
    head = (scores / "summary.md").read_text().splitlines()[2]
    assert head == "| system | kbps | sound mel ↓ | sound STFT ↓ | music mel ↓ | music STFT ↓ |"


def test_the_archive_holds_config_model_and_scores(trained):
    archive = experiment(trained) / "codec_mini_raw_fs24000_valid.mel_loss.best.zip"
    with zipfile.ZipFile(archive) as packed:
        meta = yaml.safe_load(packed.read("meta.yaml"))
        names = packed.namelist()
    assert {meta["files"]["model_file"], meta["yaml_files"]["train_config"]} <= set(names)
    assert any(name.endswith("scores/summary.md") for name in names)


def test_finished_stages_are_not_run_again(trained):
    before = times(trained / "exp", "*.log") | times(trained / "exp", "*.wav")
    assert before
    stdout = run(trained, *mini(trained), "--stop_stage", 6).stdout
    assert stdout.count("already") == 1 + 5 + 2 + 1 + 1 + 3
    stdout = run(trained, experiment(trained) / "run.sh", "--stop_stage", 6).stdout
    assert "stage 5" in stdout and "stage 4" not in stdout
    assert stdout.count("already") == 1 + 3
    assert times(trained / "exp", "*.log") | times(trained / "exp", "*.wav") == before


@pytest.mark.long
def test_scores_by_workers_of_dask_are_the_same(trained):
    pytest.importorskip("distributed")
    (trained / "dask.yaml").write_text("type: local\nn_workers: 1\n")
    scores = decoded(trained, "test_music") / "scores"
    before = (scores / "utterances.tsv").read_bytes()
    shutil.rmtree(scores)
    run(trained, *mini(trained), "--stage", 7, "--stop_stage", 7, cmd_backend="dask")
    assert (scores / "utterances.tsv").read_bytes() == before
    assert "--cluster dask.yaml" in (scores / "score.log").read_text()


@pytest.mark.long
def test_only_what_is_missing_is_decoded_again(trained):
    folder = decoded(trained, "test_sound")
    kept = times(decoded(trained, "test_music"), "*.wav")
    utt = next(iter(table(folder / "wav.scp")))
    codes = np.load(folder / f"codec/{utt}.npy")
    (folder / ".done").unlink()
    (folder / f"codec/{utt}.npy").unlink()
    # What a killed job leaves: audio in place, codes cut off.
    left = folder / "log/output.1"
    for name in ("wav", "codec"):
        (left / name).mkdir(parents=True)
    shutil.copy(folder / f"wav/{utt}.wav", left / "wav")
    (left / f"codec/{utt}.npy").write_bytes(b"\x93NUMPY")
    run(trained, *mini(trained), "--stage", 6, "--stop_stage", 6)
    assert np.array_equal(np.load(folder / f"codec/{utt}.npy"), codes)
    assert times(decoded(trained, "test_music"), "*.wav") == kept


def write_release(folder):
    """A release in its published layout, of seeded weights; returns its two homes."""
    from espnet2.tasks.gan_codec import GANCodecTask

    home = folder / f"exp/codec_{RELEASED}_raw_fs24000"
    home.mkdir(parents=True)
    config = {**GANCodecTask.get_default_config(), **TINY}
    (home / "config.yaml").write_text(yaml.safe_dump(config))
    torch.manual_seed(1)
    model, _ = GANCodecTask.build_model_from_file(home / "config.yaml", None, "cpu")
    torch.save(model.state_dict(), home / f"{RELEASED}.pth")
    dump = folder / "dump/raw/test_speech"
    theirs = Path("dump/raw/test_speech/theirs.flac")
    length = write_tone(folder / theirs, 1.5)
    (dump / "feats_type").write_text("raw\n")
    (dump / "wav.scp").write_text(f"theirs {theirs}\nlost /not/on/this/machine.flac\n")
    (dump / "utt2num_samples").write_text(f"theirs {length}\nlost 48000\n")
    return home, dump


@pytest.mark.long
def test_a_release_is_decoded_and_scored_as_published(tmp_path):
    """exp/ and dump/ put in place; then lines added for a recording of one's own."""
    folder = copy_recipe(tmp_path)
    home, dump = write_release(folder)
    words = ["./run.sh", "--model", RELEASED, "--stage", 6, "--stop_stage", 7, "--nj", 1,
             "--test_sets", "test_speech", "--scoring_args", SCORING]  # fmt: skip
    assert "skipped 1" in run(folder, *words).stdout
    out = home / f"decode_{RELEASED}"
    assert table(out / "test_speech/wav.scp").keys() == {"theirs"}
    length = write_tone(folder / "mine.wav", 1.01)
    with (dump / "wav.scp").open("a") as scp, (dump / "utt2num_samples").open("a") as lengths:
        scp.write("mine mine.wav\n")
        lengths.write(f"mine {length}\n")
    run(folder, *words)
    assert table(out / "test_speech/wav.scp").keys() == {"theirs", "mine"}
    assert sf.info(out / "test_speech/wav/mine.wav").frames == length
    assert "lost" in (out / "test_speech/skipped.tsv").read_text()
    (system,) = json.loads((out / "scores/summary.json").read_text())["systems"].items()
    assert system[0] == f"{RELEASED} decode" and system[1]["all"]["pairs"] == 2


def test_codes_alone_are_refused_with_the_command_for_them(trained):
    done = run(trained, *mini(trained), "--stage", 6, "--stop_stage", 6,
               "--inference_args", "--encode_only true", check=False)  # fmt: skip
    assert done.returncode == 1 and "'bscodec encode --model" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (24000, 2)])
def test_audio_that_would_be_played_wrong_is_refused(trained, tmp_path, rate, channels):
    dump = trained / f"dump/raw/test_{rate}_{channels}"
    dump.mkdir()
    write_tone(tmp_path / "x.wav", 1.0, rate=rate, channels=channels)
    (dump / "wav.scp").write_text(f"x {tmp_path}/x.wav\n")
    done = run(trained, *mini(trained), "--stage", 6, "--stop_stage", 6, "--test_sets", dump.name,
               check=False)  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert f"has {rate} Hz, {channels} channel(s), the model wants 24000 Hz, mono" in last
    assert not (decoded(trained, dump.name) / "wav").exists()


@pytest.mark.long
def test_training_that_was_killed_goes_on(trained, tmp_path):
    """A kill of the recipe leaves no process behind; the next run ends the training."""
    words = [*mini(trained), "--stage", 5, "--stop_stage", 5, "--tag", "killed"]
    home = trained / "exp/codec_killed_raw_fs24000"
    args = ["--train_args", "--seed 1 --max_epoch 400 --use_matplotlib false"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.Popen(
        [*map(str, [*words, *args])], cwd=trained, env={**os.environ, "PATH": path}
    )
    deadline = time.monotonic() + 300
    while not (home / "2epoch.pth").exists():
        assert done.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    done.terminate()  # the shell alone: the runner has to notice
    assert done.wait(timeout=60) != 0
    while jobs.logged_status(home / "train.log") is None:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert not (home / ".done").exists()
    whole = (home / "checkpoint.pth").read_bytes()
    (home / "checkpoint.pth").write_bytes(whole[:-100])
    cut_off = run(trained, *words, *args, check=False)
    assert "checkpoint.pth: cut off" in cut_off.stderr.splitlines()[-1]
    (home / "checkpoint.pth").write_bytes(whole)
    epochs = torch.load(home / "checkpoint.pth", weights_only=False)["reporter"]["epoch"]
    args = ["--train_args", f"--seed 1 --max_epoch {epochs + 1} --use_matplotlib false"]
    stdout = run(trained, *words, *args).stdout
    assert "goes on from its last epoch" in stdout  # its options are not those it was begun with
    assert (home / ".done").exists() and (home / f"{epochs + 1}epoch.pth").exists()
    assert "The training was resumed" in (home / "train.log").read_text()
    assert (home / "train.1.log").exists()


@pytest.mark.long
def test_fine_tuning_begins_with_the_given_weights(trained):
    """With a learning rate of zero they are still there at the end."""
    start = experiment(trained) / "valid.mel_loss.best.pth"
    run(trained, *mini(trained), "--stage", 5, "--stop_stage", 5, "--tag", "tuned",
        "--pretrained_model", start.relative_to(trained),
        "--train_args", "--seed 2 --optim_conf lr=0.0")  # fmt: skip
    before = torch.load(start, weights_only=True)
    after = torch.load(trained / "exp/codec_tuned_raw_fs24000/1epoch.pth", weights_only=True)
    names = [name for name in before if name.startswith("codec.generator.")]
    assert names
    for name in names:
        assert torch.equal(before[name], after[name]), name


@pytest.mark.long
def test_a_downloaded_model_decodes_like_the_one_it_was_made_from(trained):
    run(trained, *mini(trained), "--stage", 4, "--stop_stage", 6, "--test_sets", "test_music",
        "--expdir", "exp/other", "--download_model", experiment(trained))  # fmt: skip
    folder = trained / "exp/other/codec_mini_raw_fs24000/decode_mini/test_music"
    expected = table(decoded(trained, "test_music") / "codec.scp")
    codes = table(folder / "codec.scp")
    assert codes.keys() == expected.keys()
    for utt, path in codes.items():
        assert np.array_equal(np.load(trained / path), np.load(trained / expected[utt]))


@pytest.mark.long
def test_a_checkpoint_that_does_not_fit_is_refused(trained, tmp_path):
    home = tmp_path / "codec_bad_raw_fs24000"
    home.mkdir()
    shutil.copy(experiment(trained) / "config.yaml", home)
    torch.save({"codec.generator.nothing": torch.zeros(1)}, home / "bad.pth")
    done = run(trained, *mini(trained), "--stage", 6, "--stop_stage", 6, "--codec_exp", home,
               "--test_sets", "test_music", check=False)  # fmt: skip
    assert done.returncode == 1
    assert "bad.pth: does not fit its config.yaml" in done.stderr.splitlines()[-1]


# ---- Without a model --------------------------------------------------------------------------


def test_upload_without_a_token_or_a_model_is_one_line(hub, tmp_path, monkeypatch, capsys):
    import upload_model

    assert upload_model.main([str(tmp_path / "x.zip"), "me/codec"]) == 1
    assert "no Hugging Face token" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert upload_model.main([str(tmp_path / "none.zip"), "me/codec"]) == 1
    assert "none.zip" in capsys.readouterr().err
    (tmp_path / "x.zip").write_bytes(b"PK")
    assert upload_model.main([str(tmp_path / "x.zip"), "me/codec"]) == 1
    assert "x.zip: no packed model" in capsys.readouterr().err
    assert not hub.repositories


def test_stage_9_uploads_what_stage_8_packed(trained, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    words = [*mini(trained), "--stage", 9, "--skip_upload", "false"]
    words += ["--hf_repo", "me/codec", "--upload_args", "--license cc-by-4.0 --private"]
    done = run(trained, *words)
    assert "uploaded: " in done.stdout
    repository = hub.repositories["me/codec"]
    files = repository.commits[repository.refs["main"]]
    assert repository.private and {"README.md", "meta.yaml"} <= set(files)
    assert b"license: cc-by-4.0" in files["README.md"] and b"type: mel" in files["README.md"]


def test_stages_without_their_input_say_what_makes_it(tmp_path):
    folder = copy_recipe(tmp_path)
    for stage, reason in (
        (3, "stage 2 makes it"),
        (4, "stage 3 makes it"),
        (6, "train the model, or put its release there"),
    ):
        words = ["./run.sh", "--stage", stage, "--stop_stage", stage]
        done = run(folder, *words, check=False)
        assert done.returncode == 1
        assert reason in done.stderr.splitlines()[-1] and "no such file" in done.stderr
    done = run(folder, "./run.sh", "--model", "nothing", check=False)
    assert "--model nothing: expected one of BSCodec_band_simvq_2band" in done.stderr
