"""Pictures as a model feels them: what its last dense layer is given, and which pictures lie close by."""

from typing import Any

import numpy as np

from tenfold import engines, runs
from tenfold.datasets import Dataset
from tenfold.errors import DataError
from tenfold.explanation.anatomy import Anatomy

_FILE = "features/train.npz"
_COMPONENTS = 50  # of the features, for the map; van der Maaten and Hinton take 30
_PERPLEXITY = 30
_FEWEST = 10


def unit(features: np.ndarray) -> np.ndarray:
    """Features (n, d) brought to length 1, so that a product of two is the cosine between them."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.divide(features, lengths, out=np.zeros_like(features), where=lengths > 0)


def cached(run: runs.Run, train: Dataset) -> np.ndarray | None:
    """The features that `of_training` kept for this very model and these very pictures, or None."""
    try:
        with np.load(run.path / _FILE, allow_pickle=False) as arrays:
            if str(arrays["made_of"]) == _made_of(run) and len(arrays["features"]) == len(train):
                return arrays["features"].astype(np.float32)
    except (OSError, ValueError, KeyError, EOFError):  # none, or damaged
        pass
    return None


def of_training(run: runs.Run, anatomy: Anatomy, train: Dataset) -> np.ndarray:
    """Features of the training pictures, from the run folder where they have been computed before.

    Args:
        run: keeps them in features/train.npz, as float16, with the hashes of model and pictures.
        anatomy: the run's model.
        train: the run's training pictures, (m, h, w, 3).

    Returns:
        float32 (m, d), each row of length 1.
    """
    known = cached(run, train)
    if known is None:
        known = unit(anatomy.forward(train.images)[1])
        with run.replacing(_FILE) as temporary, open(temporary, "wb") as file:
            np.savez(file, features=known.astype(np.float16), made_of=_made_of(run))
    return known


def _made_of(run: runs.Run) -> str:
    return f"{engines.digest(run.model_path)} {run.splits['splits']['train']['sha256']}"


def nearest(known: np.ndarray, wanted: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The known pictures whose features point most nearly the same way.

    Args:
        known: float32 (m, d), rows of length 1.
        wanted: float32 (n, d), rows of length 1.
        count: how many for each, up to m.

    Returns:
        int (n, count), rows of `known`, nearest first, and float32 (n, count), the cosines, up to 1.
    """
    cosines = wanted @ known.T
    rows = np.argsort(-cosines, axis=1, kind="stable")[:, :count]
    return rows, np.take_along_axis(cosines, rows, axis=1)


def flat_map(features: np.ndarray, seed: int = 0) -> np.ndarray:
    """Points in the plane that lie together where features do.

    Principal components first, then t-SNE (van der Maaten and Hinton, 2008). Neighbourhoods mean something;
    distances between far groups, and the sizes of groups, do not.

    Args:
        features: float32 (n, d), n from 10 to some thousands; 2,000 take about ten seconds.
        seed: the same seed gives the same map.

    Returns:
        float32 (n, 2).

    Raises:
        DataError: fewer than 10.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if len(features) < _FEWEST:
        raise DataError(f"A map needs {_FEWEST} pictures or more. Received: {len(features)}")
    components = PCA(min(_COMPONENTS, *features.shape), random_state=seed).fit_transform(features)
    perplexity = min(_PERPLEXITY, (len(features) - 1) / 3)
    return TSNE(2, init="pca", perplexity=perplexity, random_state=seed).fit_transform(components)


def filters(convolution: Any) -> np.ndarray:
    """The kernels of a first convolution as pictures.

    Args:
        convolution: a Keras layer with a kernel of (rows, columns, channels, n).

    Returns:
        float32 (n, rows, columns, 3), 0 to 1: grey is 0, and each kernel's largest weight is black or white
        in its channel. Kernels of other than three channels are shown by their mean over them.
    """
    kernel = np.asarray(convolution.get_weights()[0], np.float32)
    kernel = kernel.transpose(3, 0, 1, 2)
    if kernel.shape[-1] != 3:
        kernel = kernel.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    largest = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True)
    return 0.5 + 0.5 * np.divide(kernel, largest, out=np.zeros_like(kernel), where=largest > 0)
