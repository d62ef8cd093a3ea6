"""Seeded vectors that look like CLIP's.

Fitted to 2,148 real CLIP ViT-B/32 text vectors (class names of LVIS, Objects365, OpenImages, COCO;
unit length): their mean has length 0.867, what is left has a variance of 0.248, and its spectrum
falls as in SPECTRUM (eigenvalue of rank r over the first). A vector here is

    unit( mean + basis . sqrt(spectrum) . (sqrt(CLUSTERED) * centre + sqrt(1 - CLUSTERED) * noise) )

with 2,000 centres and noise from the standard normal distribution and a random orthogonal basis,
so near things are nearer than chance. Queries come from the same distribution and are no rows.
"""
import numpy as np

DIMS = 512
MEAN_LENGTH = 0.867
VARIANCE = 0.248
SPECTRUM = {1: 1.0, 2: .708, 4: .574, 8: .406, 16: .253, 32: .166, 64: .0977, 128: .0489,
            256: .0140, 400: .00347, 512: .0012}
CENTRES = 2000
CLUSTERED = 0.5
SEED = 20261120


def generate(row_count, query_count, dims=DIMS, seed=SEED):
    rng = np.random.default_rng(seed)
    ranks = np.arange(1, dims + 1)
    spectrum = np.exp(np.interp(np.log(ranks), np.log(list(SPECTRUM)),
                                np.log(list(SPECTRUM.values()))))
    spectrum *= VARIANCE / spectrum.sum()
    basis, _ = np.linalg.qr(rng.standard_normal((dims, dims)))
    shape = (basis * np.sqrt(spectrum)).T.astype(np.float32)
    mean = rng.standard_normal(dims)
    mean = (mean * MEAN_LENGTH / np.linalg.norm(mean)).astype(np.float32)
    centres = rng.standard_normal((CENTRES, dims)).astype(np.float32)

    def sample(count):
        which = rng.integers(0, CENTRES, count)
        latent = np.sqrt(CLUSTERED) * centres[which]
        latent += np.sqrt(1 - CLUSTERED) * rng.standard_normal((count, dims), dtype=np.float32)
        vectors = latent.astype(np.float32) @ shape + mean
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return sample(row_count), sample(query_count)
