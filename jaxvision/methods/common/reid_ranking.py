"""Predictions of re-identification: descriptors, and the gallery ranked for queries."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from jaxvision import files
from jaxvision.errors import UserError
from jaxvision.metrics import retrieval
from jaxvision.typing import Float, Int, PyTree
from jaxvision.viz import rank_list


def writer(config: ConfigDict) -> Callable[..., None]:
  """Returns a method's `write`.

  It writes `descriptors.npz`, the arrays "name" and "descriptor" of all inputs;
  `ranking.json`, for each query `{"name", "distance"}` of the nearest of the gallery,
  nearest first; and, of images, `ranking.png`. The gallery is what lies in
  `config.retrieval.gallery`; without one, queries search among each other.
  """
  fields = config.retrieval

  def write(
    inputs: Mapping[str, PyTree], outputs: Mapping[str, PyTree], folder: Path
  ) -> None:
    names = list(outputs)
    found = np.stack([np.asarray(outputs[name]["descriptor"]) for name in names])
    _write_npz(folder / "descriptors.npz", names, found)
    query, gallery = _roles(names, fields.gallery)
    best, distances = rank(found, query, gallery, fields.top)
    rows = {
      names[q]: [
        {"name": names[g], "distance": round(float(d), 6)}
        for g, d in zip(best[i], distances[i], strict=True)
      ]
      for i, q in enumerate(query)
    }
    files.write_json(folder / "ranking.json", rows)
    if np.ndim(inputs[names[0]]) == 3:
      _draw(inputs, names, query, best, distances, folder / "ranking.png")

  return write


def _draw(
  inputs: Mapping[str, PyTree],
  names: list[str],
  query: Int[np.ndarray, " q"],
  best: Int[np.ndarray, "q k"],
  distances: Float[np.ndarray, "q k"],
  path: Path,
) -> None:
  """Draws the first queries; stacking the results of all could fill the memory."""
  shown = slice(rank_list.SHOWN)
  image = lambda rows: np.stack([np.asarray(inputs[names[r]]) for r in rows])
  results = image(best[shown].ravel())
  few = len(query) <= rank_list.SHOWN
  rank_list.draw_rank_lists(
    image(query[shown]),
    results.reshape(*best[shown].shape, *results.shape[1:]),
    None,
    distances[shown],
    path,
    names=[Path(names[q]).stem for q in query[shown]],
    title="" if few else f"first {rank_list.SHOWN} of {len(query)} queries",
  )


def rank(
  descriptors: Float[np.ndarray, "n d"],
  query: Int[np.ndarray, " q"],
  gallery: Int[np.ndarray, " g"],
  top: int,
) -> tuple[Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
  """The nearest rows of the gallery for each query, not the query itself.

  Args:
    descriptors: of all.
    query: rows.
    gallery: rows.
    top: how many at most.

  Returns:
    Rows and distances, nearest first.

  Raises:
    UserError: the gallery is empty for a query.
  """
  distances = retrieval.pairwise_distances(descriptors[query], descriptors[gallery])
  own = query[:, None] == gallery
  count = min(top, int((~own).sum(1).min()))
  if count < 1:
    raise UserError(
      "there is nothing to search in: give two images or more as --inputs, or a folder"
      " as --config.retrieval.gallery, and --config.retrieval.top of 1 or more."
    )
  distances = np.where(own, np.inf, distances)
  best = np.argsort(distances, axis=1, kind="stable")[:, :count]
  return gallery[best], np.take_along_axis(distances, best, 1)


def _roles(
  names: list[str], gallery: str
) -> tuple[Int[np.ndarray, " q"], Int[np.ndarray, " g"]]:
  """Rows of queries and of the gallery; without a gallery all are both."""
  everything = np.arange(len(names))
  if not gallery:
    return everything, everything
  root = Path(gallery).expanduser()
  inside = np.array([_is_in(name, root) for name in names])
  return everything[~inside], everything[inside]


def _is_in(name: str, root: Path) -> bool:
  """Whether an input is a file, came from a file of vectors, or from a folder."""
  file = name.rpartition(":")[0] or name  # rows of vectors are named file:row
  return root in (Path(file), *Path(name).parents)


def _write_npz(path: Path, names: list[str], found: Float[np.ndarray, "n d"]) -> None:
  import io

  content = io.BytesIO()
  np.savez(content, name=np.array(names), descriptor=found)
  files.write_bytes(path, content.getvalue())
