from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindeye_cli.core.config import from_toml, load_config, to_toml
from mindeye_store.errors import MissingResource, UsageProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    depth: int = 6
    scale: float | None = None
    init: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    n_voxels: int
    prior: Prior = field(default_factory=lambda: Prior(depth=2))
    kind: Literal["one", "mean"] = "one"
    steps: tuple[int, ...] = (1, 2)
    size: tuple[int, float] = (3, 0.5)
    weights: dict[str, float] = field(default_factory=dict)
    compile: bool = False

    def __post_init__(self) -> None:
        if self.n_voxels < 1:
            raise ValueError("n_voxels must be above 0")


def test_later_layers_win(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('kind = "mean"\ncompile = true\n[prior]\nscale = 2\n[weights]\na = 1\nb = 2\n')
    config = load_config(
        Sample,
        preset={"n_voxels": 5, "kind": "one", "weights": {"a": 9.0}},
        file=file,
        overrides=["prior.scale=3e0", "n_voxels = 7", "steps=[4]", "weights.b=5"],
    )
    assert config == Sample(
        n_voxels=7,
        kind="mean",
        compile=True,
        prior=Prior(depth=2, scale=3.0),
        steps=(4,),
        weights={"a": 1.0, "b": 5.0},
    )
    assert isinstance(config.prior.scale, float)


def test_partial_nested_layer_keeps_the_fields_own_default() -> None:
    config = load_config(Sample, preset={"n_voxels": 1}, overrides=["prior.init=some/file.pt"])
    assert config.prior == Prior(depth=2, init=Path("some/file.pt"))


def test_none_and_whole_floats() -> None:
    config = load_config(
        Sample, preset={"n_voxels": 1e3, "prior": {"scale": 1.0}}, overrides=["prior.scale=none"]
    )
    assert config.n_voxels == 1000 and isinstance(config.n_voxels, int)
    assert config.prior.scale is None


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("n_voxel=1", "did you mean 'n_voxels'"),
        ("prior.dept=1", "did you mean 'prior.depth'"),
        ("zzzzz=1", "known: n_voxels, prior"),
        ("prior=3", "is a table"),
        ("n_voxels=1.5", "'n_voxels' must be a whole number, not 1.5"),
        ("n_voxels=true", "must be a whole number"),
        ("n_voxels=many", "must be a whole number, not 'many'"),
        ("compile=1", "true or false"),
        ("kind=two", "one of 'one', 'mean'"),
        ("steps=3", "a list of a whole number"),
        ("steps=[1,'x']", "a list of"),
        ("size=[1]", "a list of"),
        ("prior.scale=wide", "a number or 'none'"),
        ("weights=3", "'weights' must be"),
        ("n_voxels=0", "n_voxels must be above 0"),
        ("n_voxels", "key=value"),
        (".a=1", "key=value"),
    ],
)
def test_bad_overrides_name_the_key(override: str, says: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        load_config(Sample, preset={"n_voxels": 1}, overrides=[override])
    assert says in str(caught.value)


def test_bad_layers_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    with pytest.raises(MissingResource, match=r"run\.toml"):
        load_config(Sample, file=file)
    file.write_text("n_voxels = ")
    with pytest.raises(UsageProblem, match=r"run\.toml"):
        load_config(Sample, file=file)
    file.write_text("nvoxels = 3")
    with pytest.raises(UsageProblem, match=r"run\.toml\); did you mean 'n_voxels'"):
        load_config(Sample, file=file)
    with pytest.raises(UsageProblem, match="'n_voxels' has no value"):
        load_config(Sample)
    with pytest.raises(UsageProblem, match="not valid TOML"):
        from_toml(Sample, "= 3")


configs = st.builds(
    Sample,
    n_voxels=st.integers(1, 10**6),
    prior=st.builds(
        Prior,
        depth=st.integers(-5, 5),
        scale=st.none() | st.floats(allow_nan=False),
        init=st.none() | st.sampled_from([Path("a"), Path("/b c/d.pt")]),
    ),
    kind=st.sampled_from(["one", "mean"]),
    steps=st.lists(st.integers(0, 9)).map(tuple),
    size=st.tuples(st.integers(0, 9), st.floats(0, 1)),
    weights=st.dictionaries(st.text("ab .\"'\n", max_size=4), st.floats(-1, 1), max_size=3),
    compile=st.booleans(),
)


@given(configs)
def test_toml_round_trip(config: Sample) -> None:
    text = to_toml(config)
    assert from_toml(Sample, text) == config
    assert set(tomllib.loads(text)) == {
        "n_voxels", "prior", "kind", "steps", "size", "weights", "compile"
    }  # fmt: skip
