"""Names of the tensors in published MindEye (2023) checkpoints, beside ours.

A table holds pairs (pattern of our name, replacement that gives the published one); the first that
matches counts. Patterns are matched at the start of a name.
"""

from __future__ import annotations

import re

Names = list[tuple[str, str]]

BACKBONE: Names = [
    (r"backbone\.stem\.linears\.0\.", "lin0.0."),
    (r"backbone\.stem\.norm\.", "lin0.1."),
    (r"backbone\.blocks\.(\d+)\.linear\.", r"mlp.\1.0."),
    (r"backbone\.blocks\.(\d+)\.norm\.", r"mlp.\1.1."),
    (r"backbone\.head\.", "lin1."),
]
_OURS = r"net\.transformer\."
_THEIRS = "net.causal_transformer."
_LAYER = _THEIRS + r"layers.\1."
# Shared by both priors: the one of 257 tokens is derived from DALLE2-pytorch's stock one.
_PRIOR: Names = [
    (r"net\.null_image$", "net.null_image_embed"),
    (r"net\.time\.weight$", "net.to_time_embeds.0.weight"),
    (r"net\.time\.0\.", "net.to_time_embeds.0.1.net.0.0."),
    (r"net\.time\.2\.", "net.to_time_embeds.0.1.net.1.0."),
    (r"net\.time\.4\.", "net.to_time_embeds.0.1.net.2."),
    (_OURS + r"position\.table\.", _THEIRS + "rel_pos_bias.relative_attention_bias."),
    (_OURS + r"attentions\.(\d+)\.null_key_value$", _LAYER + "0.null_kv"),
    (_OURS + r"attentions\.(\d+)\.norm\.weight$", _LAYER + "0.norm.g"),
    (_OURS + r"attentions\.(\d+)\.to_query\.", _LAYER + "0.to_q."),
    (_OURS + r"attentions\.(\d+)\.to_key_value\.", _LAYER + "0.to_kv."),
    (_OURS + r"attentions\.(\d+)\.to_out\.", _LAYER + "0.to_out.0."),
    (_OURS + r"attentions\.(\d+)\.out_norm\.weight$", _LAYER + "0.to_out.1.g"),
    (_OURS + r"feeds\.(\d+)\.norm\.weight$", _LAYER + "1.0.g"),
    (_OURS + r"feeds\.(\d+)\.expand\.", _LAYER + "1.1."),
    (_OURS + r"feeds\.(\d+)\.inner_norm\.weight$", _LAYER + "1.3.g"),
    (_OURS + r"feeds\.(\d+)\.contract\.", _LAYER + "1.5."),
    (_OURS + r"norm\.weight$", _THEIRS + "norm.g"),
    (_OURS + r"to_out\.", _THEIRS + "project_out."),
]
TOKEN_PRIOR: Names = [
    (r"net\.position$", "net.learned_query"),
    (r"net\.null_condition$", "net.null_brain_embeds"),
    *_PRIOR,
]
STOCK_PRIOR: Names = [
    (r"net\.query$", "net.learned_query"),
    (r"net\.padding$", "net.null_text_encodings"),
    (r"net\.null_condition$", "net.null_text_embeds"),
    *_PRIOR,
]
# Each is in one prior alone, and in every file with that prior.
TOKEN_PRIOR_KEY = "net.null_brain_embeds"
STOCK_PRIOR_KEY = "net.null_text_encodings"

# diffusers renamed its attention layers in 0.17 and maps the old names in from_pretrained alone.
OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def high_level_names(prior: Names) -> Names:
    """The whole model's table with the names of one of the priors."""
    return [
        *((ours, f"voxel2clip.{theirs}") for ours, theirs in BACKBONE),
        (r"projector\.", "voxel2clip.projector."),
        *((rf"prior\.{ours}", theirs) for ours, theirs in prior),
    ]


def published_name(name: str, names: Names) -> str:
    """The published name of one of our tensors; ours where the table has none."""
    for ours, theirs in names:
        renamed, found = re.subn("^" + ours, theirs, name)
        if found:
            return renamed
    return name


def today_name(key: str) -> str:
    """A published low-level key with the attention's names of today."""
    return re.sub(
        r"(\.attentions\.\d+)\.(query|key|value|proj_attn)\.",
        lambda found: f"{found[1]}.{OLD_ATTENTION[found[2]]}.",
        key,
    )
