"""Checked configuration of BSCodec.

The dataclasses below carry exactly the names that a training ``config.yaml`` uses under
``codec_conf``, so that a YAML file maps onto them one to one.  Every mistake raises
:class:`ConfigError`, whose message is one line that names the key and what was expected.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from espnet2.gan_codec.bscodec.model.checks import (
    ConfigError,  # noqa: F401  (users have it from here)
    boolean,
    check_keys,
    choice,
    is_number,
    mapping,
    number,
    positive_int,
    require,
)

FILTERBANKS = ("stft", "mdct")
NETWORKS = ("seanet", "spectral")
FLOAT32, BF16 = PRECISIONS = ("float32", "bf16")  # of inference
QUANTIZERS = ("band_vq", "band_simvq", "rvq")
NORMS = ("none", "weight_norm", "spectral_norm", "time_group_norm")
PAD_MODES = ("reflect", "constant", "replicate", "circular")
ACTIVATIONS = ("Snake", "ELU", "ReLU", "LeakyReLU", "GELU", "SiLU", "Mish", "SELU", "CELU")
FINAL_ACTIVATIONS = (None, "Tanh", "Sigmoid", "Hardtanh", "Softsign", "Identity")
# Far above what any model has, and low enough to build layer by layer without memory.
MAX_SIZE = 1 << 20
MAX_LAYERS = 256
MAX_MDCT_HOP = 4096  # its transform is a matrix of 2 * hop * hop
MAX_BLOCKS = 512  # of all bands together; to make one takes 10 ms
_LAYERS = (
    "encdec_n_residual_layers",
    "encdec_lstm",
    "spectral_blocks",
    "quantize_n_q",
)
DISCRIMINATORS = ("msmpmb_discriminator_params", "msstft_discriminator_params")


def check_sampling_rate(value: Any) -> None:
    """Raise :class:`ConfigError` for a rate in Hz that no file of codes can have."""
    positive_int("sampling_rate", value)
    require(value < 2**32, "sampling_rate", "less than 2**32 Hz", value)


def check_bands(bands: Any, sampling_rate: int) -> tuple[tuple[float, float], ...]:
    """Check that ``bands`` cover 0 to ``sampling_rate / 2`` Hz, in order, without gap or overlap.

    Args:
        bands: sequence of ``[low, high]`` pairs in Hz; band ``i`` keeps low <= f < high.
        sampling_rate: in Hz.

    Returns:
        The bands as a tuple of pairs.

    Raises:
        ConfigError: naming the first band that is wrong.
    """
    key = "generator_params.bands"
    require(isinstance(bands, Sequence) and len(bands) > 0, key, "a list of [low, high]", bands)
    require(len(bands) <= MAX_LAYERS, key, f"at most {MAX_LAYERS} bands", len(bands))
    checked: list[tuple[float, float]] = []
    nyquist = sampling_rate / 2
    previous = 0.0
    for i, band in enumerate(bands):
        pair = isinstance(band, Sequence) and not isinstance(band, str) and len(band) == 2
        require(pair, f"{key}[{i}]", "[low, high] in Hz", band)
        for edge in band:
            number(f"{key}[{i}]", edge)
        low, high = band
        require(low < high, f"{key}[{i}]", "low < high (in Hz)", band)
        if low != previous:
            problem = "gap" if low > previous else "overlap"
            require(False, f"{key}[{i}]", f"low = {previous:g} Hz, no {problem} before it", band)
        require(high <= nyquist, f"{key}[{i}]", f"high <= {nyquist:g} Hz, half the rate", band)
        checked.append((low, high))
        previous = high
    require(previous == nyquist, key, f"a last band that ends at {nyquist:g} Hz", bands)
    return tuple(checked)


@dataclasses.dataclass(frozen=True)
class GeneratorConfig:
    """``codec_conf.generator_params``: the published names, then the names of our own backends.

    Attributes:
        hidden_dim: numbers in a latent, which a band's encoder gives for each frame.
        bands: ``[low, high]`` in Hz, lowest first, from 0 to half the rate without a gap.
        filterbank: ``stft`` (published) or ``mdct`` (exact, critically sampled).
        drop_nyquist: leave the Nyquist bin out of every band, as the published split does
            (``stft`` only).  ``False`` gives it to the last band.
        mdct_hop: samples between MDCT frames (``mdct`` only).
        network: ``seanet`` (published, on waveforms) or ``spectral`` (ConvNeXt on MDCT bins).
        encdec_channels: of the audio (this and the next: ESPnet's SEANet, ``seanet`` only).
        encdec_n_filters: channels of the first convolution, doubled at every stride.
        encdec_n_residual_layers: residual blocks before each stride.
        encdec_ratios: strides, as the decoder has them; their product is the frame shift.
        encdec_activation: torch's name of it, or ``Snake``.
        encdec_activation_params: keyword arguments of the activation.
        encdec_norm: of the convolutions.
        encdec_norm_params: keyword arguments of the norm.
        encdec_kernel_size: of the first convolution.
        encdec_residual_kernel_size: in the residual blocks.
        encdec_last_kernel_size: of the last convolution.
        encdec_dilation_base: dilation of each residual block over that of the one before.
        encdec_causal: no look into the future: a shorter delay in streams.
        encdec_pad_mode: of what is before the signal's start and after its end.
        encdec_true_skip: identity and not a convolution beside the residual blocks.
        encdec_compress: channels outside a residual block over those within.
        encdec_lstm: LSTM layers at the frame rate.
        decoder_trim_right_ratio: share of a transposed convolution's padding that is cut at the
            end (causal only).
        decoder_final_activation: after the last convolution.
        decoder_final_activation_params: keyword arguments of it.
        spectral_channels: width (this and the next: ``spectral`` only).
        spectral_blocks: ConvNeXt blocks on each side of the stride.
        spectral_kernel_size: of the depthwise convolutions, in MDCT frames.
        spectral_expansion: channels within a block over those outside.
        spectral_stride: MDCT frames a frame of codes.
        spectral_gain_bins: at most that many neighbouring bins share a gain.
        quantize_choice: ``band_simvq`` or ``band_vq`` (published), or ``rvq``.
        quantize_codebook_size: codes of every codebook, or a list of one for each.
        quantize_codebook_dim: numbers in a code of SimVQ's frozen codebook, and of VQ's.
        quantize_refit_interval: training steps between trials of setting SimVQ's linear map
            from the latents' principal axes; 0, as published, leaves it to the gradient.
        quantize_reseed_interval: training steps between moves of SimVQ's unused codes to
            latents that are quantized badly; 0, as published, leaves the codebook alone.
        quantize_follow_rate: share of the way that a code of SimVQ moves to a latent that it
            was used for; 0, as published, leaves the codebook alone.
        quantize_n_q: stages of ``quantize_choice: rvq``, which stands for one band and gives a
            stream of codes a stage.
        quantize_dead_code_threshold: a code of ``band_vq`` or ``rvq`` that was used by fewer
            frames a step on average is replaced; 2, as published, suits steps that bring three
            or more frames a code.
    """

    hidden_dim: int = 512
    bands: tuple[tuple[float, float], ...] = ((0, 2000), (2000, 4000), (4000, 12000))
    filterbank: str = "stft"
    drop_nyquist: bool = True
    mdct_hop: int = 160
    network: str = "seanet"
    encdec_channels: int = 1
    encdec_n_filters: int = 32
    encdec_n_residual_layers: int = 3
    encdec_ratios: tuple[int, ...] = (8, 5, 4, 2)
    encdec_activation: str = "Snake"
    encdec_activation_params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    encdec_norm: str = "weight_norm"
    encdec_norm_params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    encdec_kernel_size: int = 7
    encdec_residual_kernel_size: int = 7
    encdec_last_kernel_size: int = 7
    encdec_dilation_base: int = 2
    encdec_causal: bool = False
    encdec_pad_mode: str = "reflect"
    encdec_true_skip: bool = False
    encdec_compress: int = 2
    encdec_lstm: int = 2
    decoder_trim_right_ratio: float = 1.0
    decoder_final_activation: str | None = None
    decoder_final_activation_params: Mapping[str, Any] | None = None
    spectral_channels: int = 128
    spectral_blocks: int = 3
    spectral_kernel_size: int = 7
    spectral_expansion: int = 3
    spectral_stride: int = 2
    spectral_gain_bins: int = 16
    quantize_choice: str = "band_simvq"
    quantize_codebook_size: int | tuple[int, ...] = 131072
    quantize_codebook_dim: int = 128
    quantize_refit_interval: int = 0
    quantize_reseed_interval: int = 0
    quantize_follow_rate: float = 0.0
    quantize_n_q: int = 8
    quantize_dead_code_threshold: float = 2

    @classmethod
    def from_dict(cls, params: Mapping[str, Any], sampling_rate: int) -> GeneratorConfig:
        """Build and check from the YAML mapping; raises :class:`ConfigError`."""
        mapping("generator_params", params)
        known = [f.name for f in dataclasses.fields(cls)]
        check_keys("generator_params", params, known)
        values = dict(params)
        defaults = cls()
        values["bands"] = check_bands(values.get("bands", defaults.bands), sampling_rate)
        for name in ("encdec_ratios", "quantize_codebook_size"):
            if isinstance(values.get(name), list):
                values[name] = tuple(values[name])
        for name in ("encdec_activation_params", "encdec_norm_params"):
            values[name] = values.get(name) or {}
        config = cls(**values)
        config._check(sampling_rate)
        return config

    def _check(self, sampling_rate: int) -> None:
        prefix = "generator_params."
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            key = prefix + field.name
            if field.name == "encdec_lstm" or field.name.endswith("_interval"):
                ok = isinstance(value, int) and not isinstance(value, bool) and value >= 0
                require(ok, key, "an integer >= 0", value)
            elif field.type == "int":
                positive_int(key, value)
            if field.type == "int":
                limit = MAX_LAYERS if field.name in _LAYERS else MAX_SIZE
                require(value <= limit, key, f"at most {limit}", value)
            elif field.type == "bool":
                boolean(key, value)
        choice(prefix + "filterbank", self.filterbank, FILTERBANKS)
        choice(prefix + "network", self.network, NETWORKS)
        choice(prefix + "quantize_choice", self.quantize_choice, QUANTIZERS)
        backend = (self.filterbank, self.network)
        fits = backend in (("stft", "seanet"), ("mdct", "spectral"))
        expected = "seanet with filterbank stft, or spectral with filterbank mdct"
        require(fits, prefix + "network", expected, self.network)
        require(self.encdec_channels == 1, prefix + "encdec_channels", "1", self.encdec_channels)
        self._check_seanet(prefix)
        blocks = self.num_blocks
        require(blocks <= MAX_BLOCKS, prefix + "bands", f"at most {MAX_BLOCKS} blocks", blocks)
        number(prefix + "quantize_dead_code_threshold", self.quantize_dead_code_threshold)
        rate = self.quantize_follow_rate
        number(prefix + "quantize_follow_rate", rate)
        require(rate < 1, prefix + "quantize_follow_rate", "a number below 1", rate)
        self._check_codebooks(prefix)
        if self.filterbank == "mdct":
            low = self.mdct_hop <= MAX_MDCT_HOP
            require(low, prefix + "mdct_hop", f"at most {MAX_MDCT_HOP}", self.mdct_hop)
            bin_hz = sampling_rate / (2 * self.mdct_hop)
            for i, band in enumerate(self.bands):
                whole = all((edge / bin_hz).is_integer() for edge in map(float, band))
                require(whole, f"{prefix}bands[{i}]", f"multiples of {bin_hz:g} Hz", band)
            odd = self.spectral_kernel_size % 2 == 1
            require(odd, prefix + "spectral_kernel_size", "odd", self.spectral_kernel_size)

    def _check_seanet(self, prefix: str) -> None:
        key, ratios = prefix + "encdec_ratios", self.encdec_ratios
        require(
            isinstance(ratios, tuple) and 0 < len(ratios) <= 16, key, "1 to 16 strides", ratios
        )
        for ratio in ratios:
            positive_int(key, ratio)
        require(math.prod(ratios) <= MAX_SIZE, key, f"a product up to {MAX_SIZE}", list(ratios))
        choice(prefix + "encdec_norm", self.encdec_norm, NORMS)
        choice(prefix + "encdec_activation", self.encdec_activation, ACTIVATIONS)
        choice(prefix + "encdec_pad_mode", self.encdec_pad_mode, PAD_MODES)
        final = self.decoder_final_activation
        choice(prefix + "decoder_final_activation", final, FINAL_ACTIVATIONS)
        filters, compress = self.encdec_n_filters, self.encdec_compress
        fits = compress <= filters
        require(fits, prefix + "encdec_compress", f"at most encdec_n_filters, {filters}", compress)
        if self.encdec_causal:
            fits = self.encdec_norm != "time_group_norm"
            require(fits, prefix + "encdec_norm", "another one if causal", self.encdec_norm)
        key, trim = prefix + "decoder_trim_right_ratio", self.decoder_trim_right_ratio
        require(is_number(trim) and 0 <= trim <= 1, key, "0 to 1", trim)
        require(self.encdec_causal or trim == 1, key, "1.0 if not causal", trim)

    def _check_codebooks(self, prefix: str) -> None:
        if self.quantize_choice == "rvq":
            require(len(self.bands) == 1, prefix + "bands", "one band with rvq", list(self.bands))
        key, given = prefix + "quantize_codebook_size", self.quantize_codebook_size
        if isinstance(given, tuple):
            count, unit = len(self.streams), "stage" if self.quantize_choice == "rvq" else "band"
            expected = f"one size or {count} sizes, one a {unit}"
            require(len(given) == count, key, expected, list(given))
        for size in self.codebook_sizes:
            positive_int(key, size)
            require(2 <= size <= 2**24, key, "2 to 16777216 codes", size)

    @property
    def streams(self) -> tuple[tuple[float, float], ...]:
        """The band (low, high) that each stream of codes is of: one a band, or many of one."""
        return self.bands * (self.quantize_n_q if self.quantize_choice == "rvq" else 1)

    @property
    def codebook_sizes(self) -> list[int]:
        """Codes in the codebook of each stream, lowest band or first stage first."""
        sizes = self.quantize_codebook_size
        return list(sizes) if isinstance(sizes, tuple) else [sizes] * len(self.streams)

    @property
    def num_blocks(self) -> int:
        """Residual blocks and LSTM layers of the encoders of all bands together."""
        seanet = len(self.encdec_ratios) * self.encdec_n_residual_layers + self.encdec_lstm
        return len(self.bands) * (self.spectral_blocks if self.network == "spectral" else seanet)

    @property
    def hop_length(self) -> int:
        """Samples between two frames of codes (the frame shift)."""
        if self.filterbank == "mdct":
            return self.mdct_hop * self.spectral_stride
        return math.prod(self.encdec_ratios)


def check_discriminator_params(params: Mapping[str, Any]) -> None:
    """Check which discriminator is chosen. Raises ConfigError in one line."""
    mapping("discriminator_params", params)
    given = [k for k in DISCRIMINATORS if k in params]
    expected = "exactly one of " + ", ".join(DISCRIMINATORS)
    require(len(given) <= 1, "discriminator_params", expected, given)
    check_keys("discriminator_params", params, (*DISCRIMINATORS, "scale_follow_official_norm"))


def check_codec_conf(conf: Mapping[str, Any]) -> None:
    """Check the top level of ``codec_conf`` (everything but ``generator_params``).

    Raises:
        ConfigError: one line naming the key.
    """
    check_sampling_rate(conf["sampling_rate"])
    choice("inference_precision", conf["inference_precision"], PRECISIONS)
    for key, value in conf.items():
        if key.startswith("lambda_"):
            number(key, value)
        elif key.startswith("use_") or key == "cache_generator_outputs":
            boolean(key, value)
        elif key.endswith("_params"):
            mapping(key, value)
    check_discriminator_params(conf["discriminator_params"])
    if conf["use_dual_decoder"]:
        has_loss = conf["use_mel_loss"] or conf["use_spectral_loss"]
        expected = "use_mel_loss or use_spectral_loss beside it"
        require(has_loss, "use_dual_decoder", expected, True)
    if not (conf["use_mel_loss"] or conf["use_spectral_loss"]):
        require(False, "use_mel_loss", "a spectrogram loss: this or use_spectral_loss", False)
