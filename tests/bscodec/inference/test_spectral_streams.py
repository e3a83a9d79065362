"""The spectral networks in chunks equal the networks on the whole, at all strides and kernels."""

import pytest
import torch

from espnet2.gan_codec.bscodec.inference.spectral_streams import decoder_stream, encoder_stream

from .chunked import push_chunks, relative

SHAPES = [(1, 7), (2, 7), (2, 1), (3, 3), (4, 3), (6, 5)]


@pytest.mark.parametrize(("stride", "kernel"), SHAPES)
@pytest.mark.parametrize("size", [1, 2, 5, 64])
def test_pieces_equal_the_whole(make_codec, stride, kernel, size):
    changes = {"spectral_stride": stride, "spectral_kernel_size": kernel}
    generator = make_codec("spectral", **changes).generator
    encoder, decoder = generator.encoders[0], generator.decoders[0]
    with torch.no_grad():
        for frames in (1, 2, 3, 4, 7, 20):
            bins = torch.randn(2, generator.filterbank.channels[0], stride * frames + 1)
            latents = encoder(bins)
            assert relative(push_chunks(encoder_stream(encoder, 2), bins, size), latents) < 1e-5
            whole = decoder(latents)
            assert relative(push_chunks(decoder_stream(decoder, 2), latents, size), whole) < 1e-5


@pytest.mark.parametrize(("stride", "kernel"), SHAPES)
def test_outputs_come_as_soon_as_they_are_determined(make_codec, stride, kernel):
    changes = {"spectral_stride": stride, "spectral_kernel_size": kernel}
    generator = make_codec("spectral", **changes).generator
    bins, dim = generator.filterbank.channels[0], generator.hidden_dim
    with torch.no_grad():
        for stream, channels in (
            (encoder_stream(generator.encoders[0], 1), bins),
            (decoder_stream(generator.decoders[0], 1), dim),
        ):
            given = 0
            for taken in range(1, 100):
                given += stream.push(torch.randn(1, channels, 1)).shape[2]
                assert stream.inputs_for(given) <= taken or not given
                assert taken < stream.inputs_for(given + 1)
