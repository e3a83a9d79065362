"""Put utterances through peers, keeping what an earlier run has made."""

import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path

import numpy as np
from tqdm import tqdm

from espnet2.gan_codec.bscodec.format.atomic import atomic_write
from espnet2.gan_codec.bscodec.format.audio import AudioReader, downmix
from espnet2.gan_codec.bscodec.format.escapes import escaped
from espnet2.gan_codec.scoring.codes import read_codes
from espnet2.gan_codec.scoring.inputs import read_utterances
from espnet2.gan_codec.scoring.metrics.metric import ScoringError, UnavailableError
from espnet2.gan_codec.scoring.peers.peer import CodedClip, Peer
from espnet2.gan_codec.scoring.summary import CodingStats

KINDS = {"opus": "opus:Opus", "encodec": "encodec:EnCodec", "dac": "dac:DAC"}
OWN = "bscodec"
FOLDER = "peers"


def make_peer(text: str) -> Peer:
    """Build the peer that ``CODEC:KBPS``, ``CODEC:KBPS@WEIGHTS`` or ``bscodec:MODEL`` says.

    Raises:
        ScoringError: it says something else, or a bitrate that the codec does not have.
        UnavailableError: the codec cannot be had.
    """
    kind, _, rest = text.partition(":")
    if kind == OWN and rest:
        from espnet2.gan_codec.scoring.peers.bscodec import BSCodec

        return BSCodec(rest)
    rate, _, weights = rest.partition("@")
    try:
        kbps = float(rate)
        home = KINDS[kind]
    except (ValueError, KeyError) as error:
        raise ScoringError(
            f"--peer {text}: expected CODEC:KBPS with one of {', '.join(KINDS)}, as in opus:12, "
            f"or {OWN}:MODEL"
        ) from error
    module, _, cls = home.partition(":")
    make = getattr(import_module(f"{__package__}.{module}"), cls)
    return make(kbps, weights) if weights else make(kbps)


def code_all(
    texts: Sequence[str],
    reference: Path,
    outdir: Path,
    jobs: int,
    log: Callable[[str], object],
) -> dict[str, tuple[Path, CodingStats]]:
    """Put all utterances of ``reference`` through the peers that can be had.

    Decoded files go to ``outdir/peers/NAME/RECORDING.wav``, with what they took beside them. A
    utterance on which a peer fails has no decoded file; the others are made all the same.

    Args:
        texts: as for :func:`make_peer`.
        jobs: how many utterances are coded at a time.
        log: receives a line for each peer and utterance left out.

    Returns:
        Folder and cost of each peer, by its name.
    """
    peers = []
    for text in texts:
        try:
            peers.append(make_peer(text))
        except UnavailableError as error:
            log(f"--peer {text} left out: {error}")
    names = [peer.name for peer in peers]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ScoringError(f"--peer: two peers are called {twice[0]}")
    if not peers:
        return {}
    utterances = read_utterances(reference)
    systems = {}
    for peer in peers:
        folder, cost = outdir / FOLDER / peer.name, CodingStats()

        def code(item: tuple[str, Path], peer: Peer = peer, folder: Path = folder):
            try:
                return item[0], _code_one(peer, item[1], _target(folder, item[0]))
            except (ValueError, OSError) as error:
                log(f"{peer.name}: {item[0]}: {' '.join(str(error).split())}")
                return item[0], None

        with (
            ThreadPoolExecutor(jobs) as pool,
            tqdm(total=len(utterances), unit="file", desc=escaped(peer.name), disable=None) as bar,
        ):
            for name, coded in pool.map(code, utterances.items()):
                bar.update()
                if coded is not None:
                    cost.bits[name] = coded.bits
                    cost.encode_seconds[name] = coded.encode_seconds
                    cost.decode_seconds[name] = coded.decode_seconds
        if any(_beside(folder, name).is_file() for name in cost.bits):
            cost.codes = read_codes(folder, None, cost.bits)
        if cost.bits:
            systems[peer.name] = folder, cost
    return systems


def _target(folder: Path, name: str) -> Path:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ScoringError("a name that leads out of the folder for decoded audio")
    return folder / f"{name}.wav"


def _beside(folder: Path, name: str) -> Path:
    return _target(folder, name).with_suffix(".bsc")


def _code_one(peer: Peer, source: Path, target: Path) -> CodedClip:
    """Code an utterance, or return what is known of it if that has been done."""
    record = target.with_name(f"{target.name}.json")
    stat = source.stat()
    stamp = [os.path.abspath(source), stat.st_size, stat.st_mtime_ns, peer.setting]
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        if known["of"] == stamp and target.is_file():
            return CodedClip(**known["coded"])
    except (OSError, ValueError, TypeError, KeyError):
        pass
    with AudioReader(source) as reader:
        rate = reader.sampling_rate
        audio = np.concatenate([downmix(block) for block in reader.blocks()])
    target.parent.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)  # it is of another file as soon as that one is replaced
    with atomic_write(target) as temporary:
        coded = peer.code(audio, rate, temporary)
    if coded.bsc is not None:
        with atomic_write(target.with_suffix(".bsc")) as temporary:
            temporary.write_bytes(coded.bsc)
        coded = replace(coded, bsc=None)
    with atomic_write(record) as temporary:
        temporary.write_text(json.dumps({"of": stamp, "coded": asdict(coded)}), encoding="utf-8")
    return coded
