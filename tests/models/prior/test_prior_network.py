"""The prior's attention, positions and time token against plain numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mindeye_cli.models.prior.attention import CosineAttention, rotary_angles, rotate
from mindeye_cli.models.prior.config import PriorConfig
from mindeye_cli.models.prior.network import PriorNetwork, TimeToken
from mindeye_cli.models.prior.transformer import RelativeBias, StableNorm


def layer_norm(x, gain):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * gain


def turn(vector, position, dims):
    """Rotary embedding of one vector, pair by pair, as complex numbers."""
    out = np.array(vector)
    for pair in range(dims // 2):
        angle = position * 10000.0 ** (-2 * pair / dims)
        z = complex(vector[2 * pair], vector[2 * pair + 1]) * np.exp(1j * angle)
        out[2 * pair : 2 * pair + 2] = z.real, z.imag
    return out


def plain_attention(net, x, bias, dims):
    """One query at a time, in float64."""
    state = {key: value.double().numpy() for key, value in net.state_dict().items()}
    dim = state["null_key_value"].shape[1]
    x = layer_norm(x, state["norm.weight"])
    out = np.zeros((len(x), net.heads * dim))
    key_value = x @ state["to_key_value.weight"].T
    keys = [state["null_key_value"][0]]
    keys += [turn(row[:dim], at, dims) for at, row in enumerate(key_value)]
    values = np.vstack([state["null_key_value"][1], key_value[:, dim:]])
    for head in range(net.heads):
        for at in range(len(x)):
            query = turn(
                (state["to_query.weight"] @ x[at])[head * dim : (head + 1) * dim], at, dims
            )
            cosines = [k @ query / np.linalg.norm(k) / np.linalg.norm(query) for k in keys]
            logits = 16 * np.array(cosines) + bias[head, at]
            weights = np.exp(logits - logits.max())
            out[at, head * dim : (head + 1) * dim] = weights @ values / weights.sum()
    return layer_norm(out @ state["to_out.weight"].T, state["out_norm.weight"])


def test_attention_equals_a_plain_loop():
    torch.manual_seed(0)
    net, x = CosineAttention(12, heads=3, dim_head=6), torch.randn(2, 5, 12)
    with torch.no_grad():
        net.norm.weight.uniform_(0.5, 2)
        net.out_norm.weight.uniform_(0.5, 2)
        bias = torch.randn(3, 5, 6)
        ours = net(x, bias, rotary_angles(5, 4, x.device))
    for sample in range(2):
        expected = plain_attention(net, x[sample].double().numpy(), bias.double().numpy(), 4)
        np.testing.assert_allclose(ours[sample].numpy(), expected, rtol=1e-4, atol=1e-5)


def test_rotation_makes_products_depend_on_distance_alone():
    torch.manual_seed(0)
    q, k = torch.randn(8).expand(20, 8), torch.randn(8).expand(20, 8)
    angles = rotary_angles(20, 8, q.device)
    products = rotate(q, angles) @ rotate(k, angles).T
    torch.testing.assert_close(products[3, 5], products[13, 15])
    torch.testing.assert_close(products[7, 2], products[17, 12])


def bucket(distance, buckets=32, furthest=128):
    """T5's one-sided bucket of one distance."""
    if distance < buckets // 2:
        return distance
    ratio = math.log(distance / (buckets // 2)) / math.log(furthest / (buckets // 2))
    return min(buckets - 1, buckets // 2 + int(ratio * (buckets // 2)))


def test_relative_bias_is_one_sided_and_counts_the_null_key_first():
    torch.manual_seed(0)
    net = RelativeBias(heads=2, buckets=32, max_distance=128)
    bias = net(40)
    assert bias.shape == (2, 40, 41)
    for query in (0, 1, 16, 39):
        for key in (0, 1, 17, 40):
            expected = net.table.weight[bucket(max(query - key, 0))]
            assert torch.equal(bias[:, query, key], expected)


@pytest.mark.parametrize("distance", [0, 1, 15, 16, 17, 30, 50, 100, 127, 129, 500])
def test_buckets(distance):
    # Exact powers such as 32 and 64 lie on a bucket's edge, where float32 and float64 may differ.
    net = RelativeBias(heads=1, buckets=32, max_distance=128)
    assert int(net.bucket(torch.tensor(distance))) == bucket(distance)


def test_stable_norm_is_layer_norm_where_it_is_far_from_zero():
    torch.manual_seed(0)
    x = torch.randn(4, 16) * 50
    norm = StableNorm(16, bias=False)
    expected = (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True, correction=0)
    torch.testing.assert_close(norm(x), expected, rtol=1e-2, atol=1e-3)


def test_time_token_reads_sines_then_cosines_of_the_raw_step():
    net = TimeToken(8)
    seen = []
    net[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    net(torch.tensor([0, 37]))
    angles = 37 * 10000.0 ** (-np.arange(4) / 3)
    expected = np.concatenate([np.sin(angles), np.cos(angles)])
    np.testing.assert_allclose(seen[0][1].numpy(), expected, atol=1e-5)
    np.testing.assert_allclose(seen[0][0].numpy(), [0, 0, 0, 0, 1, 1, 1, 1])


def test_dropped_inputs_give_way_to_their_own_null_table():
    torch.manual_seed(0)
    net = PriorNetwork(3, 8, PriorConfig(depth=1, heads=2, dim_head=8))
    noisy, condition = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    times, drop = torch.tensor([4, 9]), torch.tensor([True, False])
    with torch.no_grad():
        full = net(noisy, times, condition)
        lacks = net(noisy, times, condition, drop_condition=drop)
        explicit = net(noisy, times, torch.stack([net.null_condition, condition[1]]))
        blind = net(noisy, times, condition, drop_image=drop)
        shown = net(torch.stack([net.null_image, noisy[1]]), times, condition)
    torch.testing.assert_close(lacks, explicit)
    torch.testing.assert_close(blind, shown)
    torch.testing.assert_close(lacks[1], full[1])
    assert not torch.allclose(lacks[0], full[0])
    assert not torch.allclose(blind[0], full[0])


def test_a_residual_prior_starts_at_the_brain_tokens_and_adds_to_them():
    torch.manual_seed(0)
    sizes = {"depth": 1, "heads": 2, "dim_head": 4, "ff_mult": 1}
    net = PriorNetwork(3, 8, PriorConfig(**sizes, residual=True))
    noisy, condition, times = torch.randn(2, 3, 8), torch.randn(2, 3, 8), torch.tensor([5, 60])
    assert torch.equal(net(noisy, times, condition), condition)
    # Dropped brain tokens give way to the learned table in the answer too.
    drop = torch.tensor([True, False])
    found = net(noisy, times, condition, drop_condition=drop)
    assert torch.equal(found, torch.stack([net.null_condition, condition[1]]))
    plain = PriorNetwork(3, 8, PriorConfig(**sizes))
    torch.nn.init.normal_(net.transformer.to_out.weight)
    plain.load_state_dict(net.state_dict())
    with torch.no_grad():
        added = net(noisy, times, condition) - condition
        assert torch.allclose(added, plain(noisy, times, condition), atol=1e-5)


@pytest.mark.parametrize("width", [1, 2, 3, 7])
def test_any_width_of_token_is_taken(width: int) -> None:
    net = PriorNetwork(4, width, PriorConfig(depth=1, heads=2, dim_head=32))
    out = net(torch.randn(2, 4, width), torch.tensor([0, 99]), torch.randn(2, 4, width))
    assert out.shape == (2, 4, width)
    assert torch.isfinite(out).all()
