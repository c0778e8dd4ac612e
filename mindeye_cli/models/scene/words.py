"""The captions' own small word vocabulary, for the text tower of scene-clip.

open_clip's `get_tokenizer` would return its 49k-entry BPE, whose ids a small table cannot hold.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

CONTEXT = 32
PAD, START = 0, 1


class WordTokenizer:
    """Words to ids; the end mark has the highest id, which is where the text tower pools."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = tuple(words)
        self._ids = {word: index + 2 for index, word in enumerate(self.words)}
        self.end = len(self.words) + 2
        self.size = self.end + 1

    def __call__(self, captions: Sequence[str]) -> Tensor:
        """Token ids of captions.

        Parameters
        ----------
        captions : sequence of str

        Returns
        -------
        int64 (B, 32)
            Start mark, words, end mark, zeros.

        Raises
        ------
        ValueError
            If a word is not in the vocabulary or a caption is too long.
        """
        ids = torch.full((len(captions), CONTEXT), PAD, dtype=torch.int64)
        for row, caption in enumerate(captions):
            words = caption.lower().split()
            unknown = [word for word in words if word not in self._ids]
            if unknown:
                raise ValueError(f"caption {row}: {unknown[0]!r} is not in the vocabulary")
            if len(words) > CONTEXT - 2:
                raise ValueError(f"caption {row} has {len(words)} words, at most {CONTEXT - 2} fit")
            line = [START, *(self._ids[word] for word in words), self.end]
            ids[row, : len(line)] = torch.tensor(line)
        return ids
