"""Adds what a linear model cannot say: scores by the distance of an embedding to those of the training texts. Pure; numpy only."""

from dataclasses import dataclass

import numpy as np

from parvis.router.decide.classifier.text_features import Floats


@dataclass(frozen=True)
class KernelExpansion:
    """A sum of Gaussian kernels, one around each training text: `exp(-gamma |x - point|²) @ weights`.

    Shape: P points of length one in D dimensions, centered as the model centers embeddings: `points` (P, D); `weights` (P, L).
    """

    points: Floats
    weights: Floats
    gamma: float

    def score(self, centered: Floats) -> Floats:
        """Scores (n, L) of n centered embeddings; a tenth of a millisecond for a thousand points."""
        return gaussian_kernel(centered, self.points, self.gamma) @ self.weights


def gaussian_kernel(rows: Floats, points: Floats, gamma: float) -> Floats:
    """Similarities (n, P), from 0 to 1, of rows and points of length one."""
    return np.exp(2 * gamma * (rows @ points.T - 1)).astype(np.float32)
