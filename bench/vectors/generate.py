"""Seeded vectors that look like CLIP's.

Fitted to 2,148 real CLIP ViT-B/32 text vectors (class names of LVIS, Objects365, OpenImages, COCO;
unit length): their mean has length 0.867, most of it in two coordinates of 0.55; what is left has a
variance of 0.248 and a spectrum that falls as in SPECTRUM (eigenvalue of rank r over the first); two
vectors have a median similarity of 0.755, a vector and its tenth nearest one of 0.858. A vector here is

    unit( mean + basis . sqrt(spectrum) . (sqrt(.4) * kind + sqrt(.3) * scene + sqrt(.3) * noise) )

with one of 100 kinds and, independently, one of 500 scenes, both Zipf-distributed (exponent 0.7),
all of them standard normal, and a random orthogonal basis. 2,148 of these have a mean length of
0.867, a median similarity of 0.755 and a tenth nearest at 0.861.

"spread" leaves kinds and scenes out: noise only, which no real data is, and which is the hardest
for any graph. Queries come from the same distribution and are no rows.
"""
import numpy as np

DIMS = 512
MEAN_LENGTH = 0.867
OUTLIER = 0.55  # two coordinates of the mean
VARIANCE = 0.248
SPECTRUM = {1: 1.0, 2: .708, 4: .574, 8: .406, 16: .253, 32: .166, 64: .0977, 128: .0489,
            256: .0140, 400: .00347, 512: .0012}
TRAITS = [(100, 0.4), (500, 0.3)]  # how many, share of the variance
SEED = 20261120


def generate(row_count, query_count, kind="clip", dims=DIMS, seed=SEED):
    rng = np.random.default_rng(seed)
    ranks = np.arange(1, dims + 1)
    spectrum = np.exp(np.interp(np.log(ranks), np.log(list(SPECTRUM)),
                                np.log(list(SPECTRUM.values()))))
    spectrum *= VARIANCE / spectrum.sum()
    basis, _ = np.linalg.qr(rng.standard_normal((dims, dims)))
    shape = (basis * np.sqrt(spectrum)).T.astype(np.float32)
    mean = rng.standard_normal(dims)
    mean[:2] = 0
    mean *= np.sqrt(MEAN_LENGTH ** 2 - 2 * OUTLIER ** 2) / np.linalg.norm(mean)
    mean[:2] = OUTLIER, -OUTLIER
    mean = mean.astype(np.float32)
    traits = [(rng.standard_normal((count, dims), dtype=np.float32), share)
              for count, share in TRAITS] if kind == "clip" else []
    noise = 1 - sum(share for _, share in traits)

    def sample(count):
        latent = np.float32(np.sqrt(noise)) * rng.standard_normal((count, dims), dtype=np.float32)
        for centres, share in traits:
            weights = 1 / np.arange(1, len(centres) + 1) ** 0.7
            which = rng.choice(len(centres), count, p=weights / weights.sum())
            latent += np.float32(np.sqrt(share)) * centres[which]
        vectors = latent @ shape + mean
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return sample(row_count), sample(query_count)
