"""The prefiltered search finds the nearest codes, and its error bound holds."""

import pytest
import torch

from espnet2.gan_codec.bscodec.inference.backend import FastBackend
from espnet2.gan_codec.bscodec.inference.prefilter_search import MIN_CODES, PrefilteredCodebook
from espnet2.gan_codec.bscodec.model.quantizers.search import nearest_codes
from espnet2.gan_codec.bscodec.model.quantizers.simvq import BandSimVQ

SIZE, DIM, DEPTH = 20000, 16, 48


def random_case(spread=1.0, offset=0.0, scale=1.0, near=None):
    """Queries, codebook and half norms as SimVQ has them."""
    torch.manual_seed(0)
    codebook = scale * torch.randn(SIZE, DIM) * DIM**-0.5
    weight = torch.randn(DEPTH, DIM) * spread ** torch.arange(DIM)
    vectors = torch.randn(300, DIM) @ weight.t() * DIM**-0.5 if near is None else None
    if near is not None:
        vectors = codebook[:300] @ weight.t() + near * torch.randn(300, DEPTH)
    vectors = scale * (vectors + offset)
    norms = ((codebook @ (weight.t() @ weight)) * codebook).sum(dim=1) / 2
    return vectors @ weight, codebook, norms


CASES = {
    "white": {},
    "few directions": {"spread": 0.5},
    "one direction": {"spread": 0.01},
    "far off": {"offset": 30.0},
    "close to codes": {"near": 1e-4},
    "tiny": {"scale": 1e-12},
    "huge": {"scale": 1e12},
}


def exact_scores(queries, codebook, norms):
    return queries.double() @ codebook.double().t() - norms.double()


@pytest.mark.parametrize("case", CASES)
def test_it_finds_the_exact_maxima(case):
    queries, codebook, norms = random_case(**CASES[case])
    scores = exact_scores(queries, codebook, norms)
    found = PrefilteredCodebook(codebook, norms).nearest(queries)
    reached = scores.gather(1, found[:, None])[:, 0]
    sizes = queries.double().norm(dim=1) * codebook.norm(dim=1).max() + norms.max()
    slack = 1e-14 * sizes  # float64's last digits
    assert (reached >= scores.max(dim=1).values - slack).all()


def awkward():
    """All numbers half-way between two of bfloat16, so that no rounding cancels another."""
    halves = 1 + 2.0**-8 + torch.randint(0, 64, (SIZE, DIM)) * 2.0**-7
    return halves[:300].clone(), halves, halves.square().sum(dim=1) / 2


@pytest.mark.parametrize("case", [*CASES, "awkward"])
def test_no_prefilter_score_is_off_by_more_than_the_bound(case):
    queries, codebook, norms = awkward() if case == "awkward" else random_case(**CASES[case])
    table, scores = PrefilteredCodebook(codebook, norms), exact_scores(queries, codebook, norms)
    best = scores.max(dim=1).values
    bound = table.bound(queries, best)
    # without the last rounding, which keeps the sign
    off = (
        table.table.float() @ table.factors(queries, -best).float() - (scores - best[:, None]).t()
    )
    assert (off.abs() <= bound).all()
    raised = table.table @ table.factors(queries, bound - best)
    assert (raised.gather(0, scores.argmax(dim=1)[None]) >= 0).all()
    if case == "awkward":
        assert (off.abs() > 0.1 * bound).any()  # it is no idle bound


def test_many_equal_codes_are_one_code():
    queries, codebook, norms = random_case()
    exact = exact_scores(queries, codebook[:500], norms[:500]).argmax(dim=1)
    repeated = PrefilteredCodebook(codebook[:500].repeat(40, 1), norms[:500].repeat(40))
    assert torch.equal(repeated.nearest(queries) % 500, exact)
    same = PrefilteredCodebook(codebook[:1].repeat(SIZE, 1), norms[:1].repeat(SIZE))
    assert same.nearest(queries).max() < SIZE


def test_what_is_no_number_is_no_nearest_code_either():
    queries, codebook, norms = random_case()
    queries[5] = torch.nan
    found = PrefilteredCodebook(codebook, norms).nearest(queries)
    assert torch.equal(found, nearest_codes(queries, codebook, norms))


def test_the_backend_uses_it_only_where_it_may(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    calls = []
    search = PrefilteredCodebook.nearest
    monkeypatch.setattr(
        PrefilteredCodebook, "nearest", lambda self, q: calls.append(len(q)) or search(self, q)
    )
    torch.manual_seed(0)
    quantizer, backend = BandSimVQ([4 * MIN_CODES], 8, 24).eval(), FastBackend()
    x = torch.randn(2, 24, 60)
    codes = backend.encode(quantizer, [x])
    assert calls == [120]
    assert torch.equal(backend.encode(quantizer, [x]), codes)
    assert torch.equal(quantizer.encode([x]), codes)
    assert torch.equal(backend.encode(quantizer.train(), [x]), codes)
    assert torch.equal(backend.encode(quantizer.eval().double(), [x.double()]), codes)
    backend.encode(quantizer.float(), [x[:1, :, :9]])
    assert calls == [120, 120]
    with torch.no_grad():
        quantizer.layers[0].code_transform.weight.neg_()  # prepared again for other weights
    assert torch.equal(backend.encode(quantizer, [-x]), codes)
    assert calls == [120, 120, 120]
