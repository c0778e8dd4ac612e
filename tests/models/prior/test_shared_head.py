"""Attention over one shared head: against einsum in double precision, gradients by differences."""

from __future__ import annotations

import pytest
import torch

from mindeye_cli.models.prior import shared_head


@pytest.fixture(params=[1, 60, 200, 2**19], ids=["a-head", "two-heads", "two-samples", "all"])
def block(request, monkeypatch):
    """Sizes of blocks that cut (3 samples, 4 heads, 5 queries, 6 keys) in different ways."""
    monkeypatch.setattr(shared_head, "BLOCK", request.param)


def inputs():
    source = torch.Generator().manual_seed(0)
    shapes = (3, 4, 5, 7), (3, 6, 7), (3, 6, 7), (4, 5, 6)
    return [
        torch.randn(shape, generator=source, dtype=torch.float64, requires_grad=True)
        for shape in shapes
    ]


@pytest.mark.usefixtures("block")
def test_values_and_gradients():
    query, key, value, bias = inputs()
    weights = (torch.einsum("bhid,bjd->bhij", query, key) + bias).softmax(-1)
    expected = torch.einsum("bhij,bjd->bhid", weights, value)
    assert torch.allclose(shared_head.attend(query, key, value, bias), expected, atol=1e-12)
    assert torch.autograd.gradcheck(shared_head.attend, inputs())


def test_the_fused_kernel_agrees():
    tensors = [x.to("meta") for x in inputs()]
    assert shared_head.attend(*tensors).shape == (3, 4, 5, 7)
    query, key, value, bias = (x.detach() for x in inputs())
    fused = shared_head.fused(query, key, value, bias)
    assert torch.allclose(fused, shared_head.attend(query, key, value, bias), atol=1e-12)


def test_autocast_gives_float32():
    tensors = [x.detach().float() for x in inputs()]
    with torch.autocast("cpu", torch.bfloat16):
        out = shared_head.attend(*(x.bfloat16() for x in tensors[:3]), tensors[3])
    assert out.dtype == torch.float32
    assert torch.allclose(out, shared_head.attend(*tensors), atol=0.1)
