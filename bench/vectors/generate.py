"""Seeded vectors that look like CLIP's.

Fitted to 2,148 real CLIP ViT-B/32 text vectors (class names of LVIS, Objects365, OpenImages, COCO;
unit length): their mean has length 0.867, most of it in two coordinates of 0.55; what is left has a
variance of 0.248 and a spectrum that falls as in SPECTRUM (eigenvalue of rank r over the first); two
vectors have a median similarity of 0.755, a vector and its tenth nearest one of 0.858. A vector here is

    unit( mean + basis . sqrt(spectrum) . (sqrt(.4) * kind + sqrt(.3) * scene + sqrt(.3) * noise) )

with one of 100 kinds and, independently, one of 500 scenes, both Zipf-distributed (exponent 0.7),
all of them standard normal, and a random orthogonal basis. 2,148 of these have a mean length of
0.867, a median similarity of 0.755 and a tenth nearest at 0.861.

"spread" leaves kinds and scenes out: noise only of that spectrum. "uniform" is uniform in a cube and
then of unit length: all directions alike, which no real data is, and the hardest for any index.
Queries come from the same distribution and are no rows.
"""
import glob
import os

import numpy as np

DIMS = 512
MEAN_LENGTH = 0.867
OUTLIER = 0.55  # two coordinates of the mean
VARIANCE = 0.248
SPECTRUM = {1: 1.0, 2: .708, 4: .574, 8: .406, 16: .253, 32: .166, 64: .0977, 128: .0489,
            256: .0140, 400: .00347, 512: .0012}
TRAITS = [(100, 0.4), (500, 0.3)]  # how many, share of the variance
SEED = 20261120


class Source:
    """Vectors of one kind, as many as are asked for, in pieces; the same seed gives the same ones."""

    def __init__(self, kind="clip", dims=DIMS, seed=SEED):
        self.kind, self.dims = kind, dims
        self.rng = rng = np.random.default_rng(seed)
        if kind == "uniform":
            return
        ranks = np.arange(1, dims + 1)
        spectrum = np.exp(np.interp(np.log(ranks), np.log(list(SPECTRUM)),
                                    np.log(list(SPECTRUM.values()))))
        spectrum *= VARIANCE / spectrum.sum()
        basis, _ = np.linalg.qr(rng.standard_normal((dims, dims)))
        self.shape = (basis * np.sqrt(spectrum)).T.astype(np.float32)
        mean = rng.standard_normal(dims)
        mean[:2] = 0
        mean *= np.sqrt(MEAN_LENGTH ** 2 - 2 * OUTLIER ** 2) / np.linalg.norm(mean)
        mean[:2] = OUTLIER, -OUTLIER
        self.mean = mean.astype(np.float32)
        self.traits = [(rng.standard_normal((count, dims), dtype=np.float32), share)
                       for count, share in TRAITS] if kind == "clip" else []
        self.noise = 1 - sum(share for _, share in self.traits)

    def sample(self, count):
        if self.kind == "uniform":
            vectors = self.rng.random((count, self.dims), dtype=np.float32) * 2 - 1
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        latent = np.float32(np.sqrt(self.noise)) * self.rng.standard_normal(
            (count, self.dims), dtype=np.float32)
        for centres, share in self.traits:
            weights = 1 / np.arange(1, len(centres) + 1) ** 0.7
            which = self.rng.choice(len(centres), count, p=weights / weights.sum())
            latent += np.float32(np.sqrt(share)) * centres[which]
        vectors = latent @ self.shape + self.mean
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def real(folder):
    """The vectors of class names in shared/data/text-vectors, shuffled, unit length, no two alike."""
    arrays = [np.load(path) for path in sorted(glob.glob(os.path.join(folder, "*.npy")))]
    vectors = np.unique(np.concatenate([a for a in arrays if a.shape[1] == DIMS]), axis=0)
    np.random.default_rng(SEED).shuffle(vectors)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def write(path, source, count, piece=50_000):
    """`count` vectors into a file of plain f32, a piece at a time."""
    with open(path + ".part", "wb") as file:
        for begin in range(0, count, piece):
            source.sample(min(piece, count - begin)).astype(np.float32).tofile(file)
    os.replace(path + ".part", path)
