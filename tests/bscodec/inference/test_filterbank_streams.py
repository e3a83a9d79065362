"""Filterbanks in chunks equal the filterbanks on the whole, for all lengths and chunks."""

import pytest
import torch

from espnet2.gan_codec.bscodec.inference.filterbank_streams import (
    analysis_stream,
    synthesis_stream,
)

from .chunked import push_chunks, relative

BANDS = [(0, 2000), (2000, 4000), (4000, 12000)]
# around every number of frames up to three, and around the published tail's healthy residue
STFT_LENGTHS = [1, 2, 500, 1023, 1024, 1025, 1026, 1900, 1924, 1925, 2000, 2047, 2048, 2049, 2948]
STFT_LENGTHS += [2949, 3071, 3072, 3073, 3972, 3973, 4095, 4096, 4097, 7000]
MDCT_LENGTHS = [1, 2, 159, 160, 161, 319, 320, 321, 479, 480, 481, 640, 1000]


def filterbank(make_codec, network):
    return make_codec(network).generator.filterbank


def check_analysis(bank, length, size, batch=2):
    torch.manual_seed(length)
    x = torch.randn(batch, 1, length)
    whole = torch.cat(bank.analysis(x), dim=1)
    stream = analysis_stream(bank, batch, len(bank.channels))
    assert relative(push_chunks(stream, x, size), whole) < 1e-5


@pytest.mark.parametrize("size", [100, 1000, 1024, 3000, 10**6])
def test_stft_analysis(make_codec, size):
    bank = filterbank(make_codec, "seanet")
    for length in STFT_LENGTHS:
        check_analysis(bank, length, size)


@pytest.mark.parametrize("length", [1, 1024, 2047, 2049, 3073])
def test_stft_analysis_sample_by_sample(make_codec, length):
    check_analysis(filterbank(make_codec, "seanet"), length, 1)


@pytest.mark.parametrize("size", [1, 7, 160, 333, 10**6])
def test_mdct_analysis(make_codec, size):
    bank = filterbank(make_codec, "spectral")
    for length in MDCT_LENGTHS:
        check_analysis(bank, length, size)


@pytest.mark.parametrize("network", ["seanet", "spectral"])
@pytest.mark.parametrize("size", [1, 3, 10**6])
@pytest.mark.parametrize("count", [1, 2])
def test_synthesis(make_codec, network, size, count):
    bank = filterbank(make_codec, network)
    bands = [torch.randn(2, channels, 21) for channels in bank.channels[:count]]
    whole = bank.synthesis(bands)
    stream = synthesis_stream(bank, 2, count)
    assert relative(push_chunks(stream, torch.cat(bands, dim=1), size), whole) < 1e-5


@pytest.mark.parametrize("network", ["seanet", "spectral"])
def test_a_signal_may_end_without_another_sample(make_codec, network):
    bank = filterbank(make_codec, network)
    for length in (1, 320, 1024, 2048, 3000):
        x = torch.randn(1, 1, length)
        stream = analysis_stream(bank, 1, 1)
        parts = [stream.push(x), stream.push(x[..., :0]), stream.push(x[..., :0], last=True)]
        assert relative(torch.cat(parts, dim=2), bank.analysis(x)[0]) < 1e-5


@pytest.mark.parametrize("network", ["seanet", "spectral"])
def test_nothing_is_held_back(make_codec, network):
    """What is out at any time is all that no continuation of the signal could change."""
    bank = filterbank(make_codec, network)
    stream, given = analysis_stream(bank, 1, 1), 0
    torch.manual_seed(0)
    x = torch.randn(1, 1, 5000)
    for sample in x.split(1, dim=2):
        given += stream.push(sample).shape[2]
        assert (
            stream.inputs_for(given) <= stream.num_samples_in < stream.inputs_for(given + 1)
            or not given
        )
    for end in (2500, 3500):
        out = push_chunks(analysis_stream(bank, 1, 1), x[..., :end], 10**6)
        stream = analysis_stream(bank, 1, 1)
        sure = stream.push(x[..., :end])
        other = bank.analysis(torch.cat([x[..., :end], torch.randn(1, 1, 999)], dim=2))[0]
        assert torch.allclose(other[..., : sure.shape[2]], sure, atol=1e-5)
        start, stop = sure.shape[2], out.shape[2]
        assert not torch.allclose(other[..., start:stop], out[..., start:], atol=1e-3)
