"""Refusal of options that would change nothing: whoever gave them expects that they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mindeye_cli.models.decoders.registry import WITHOUT_GENERATOR
from mindeye_store.errors import UsageProblem

if TYPE_CHECKING:
    from mindeye_cli.reconstruct.options import Options


def refuse_unused(options: Options) -> None:
    """Name the first option that the decoder does not read.

    Raises
    ------
    UsageProblem
        There is one.
    """
    decoder = options.decoder
    if options.outside is not None and decoder != "nearest":
        raise UsageProblem(
            f"decoder {decoder} does not read it", where="--index", fix="--decoder nearest"
        )
    if options.control == "ceiling" and (decoder == "nearest" or options.average != "voxels"):
        where = "--decoder nearest" if decoder == "nearest" else "--average"
        raise UsageProblem(
            "the ceiling decodes true embeddings, which it does not read",
            where=where,
            fix="leave it out",
        )
    _refuse_areas(options)
    if decoder not in WITHOUT_GENERATOR:
        # Without a latent all of the sampling is run from noise, which is a strength of 1.
        if options.low is None and options.strength not in (None, 1.0):
            raise UsageProblem(
                f"a strength of {options.strength} needs a latent to start from",
                where="--strength",
                fix="give --low RUN, or leave --strength out",
            )
        return
    given = {
        "--strength": options.strength is not None,
        "--steps": options.steps is not None,
        "--guidance": options.guidance is not None,
        "--keep-candidates": options.keep_candidates,
        "--low": decoder == "nearest" and options.low is not None,
        "--high": decoder != "nearest" and options.high is not None,
    }
    for name, is_given in given.items():
        if is_given:
            raise UsageProblem(
                f"decoder {decoder} does not read it", where=name, fix=f"leave {name} out"
            )


def _refuse_areas(options: Options) -> None:
    named = options.keep_rois is not None or options.drop_rois is not None
    if named and options.control == "ceiling":
        raise UsageProblem(
            "the ceiling decodes true embeddings and reads no voxel",
            where="--keep-rois, --drop-rois",
            fix="leave them out",
        )
    if options.control == "random-voxels" and not named:
        raise UsageProblem(
            "random voxels stand in for areas, and none is named",
            where="--control random-voxels",
            fix="give the same --keep-rois or --drop-rois as the reconstruction beside it",
        )
