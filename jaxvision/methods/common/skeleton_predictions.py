"""What a skeleton classifier predicts: files for each clip, films of what matters."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from jaxvision import files, interruption
from jaxvision.data.skeleton_examples import SkeletonDataset
from jaxvision.methods.common.skeleton_data import Pipeline, find_graph
from jaxvision.ops import graphs
from jaxvision.ops import skeletons as ops
from jaxvision.typing import Array, PyTree
from jaxvision.viz import skeleton as viz

UPRIGHT = (0, 2)  # `normalize_frames` turns the spine onto z


def predict_fn(
  config: ConfigDict, logits_of: Callable[[PyTree, Array], Array], pipeline: Pipeline
) -> Callable[[PyTree, Array], dict[str, Array]]:
  """Returns (variables, clips as recorded) -> "logits" and "probabilities", pure.

  With `config.eval.importance` also "importance", [b, m, t, v]: gradient x input of the
  logit of the predicted class, by joint of the normalized positions whatever stream the
  network sees.

  Args:
    config: `eval.importance` is read.
    logits_of: (variables, what the network takes) -> logits.
    pipeline: from clips as recorded to what the network takes.
  """

  def predict(variables: PyTree, clips: Array) -> dict[str, Array]:
    positions = pipeline.normalize(clips)
    logits = logits_of(variables, pipeline.stream(positions))
    outputs = {"logits": logits, "probabilities": jax.nn.softmax(logits)}
    if config.eval.importance:
      best = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1])
      score = lambda x: (logits_of(variables, pipeline.stream(x)) * best).sum(-1)
      outputs["importance"] = ops.joint_importance(score, positions)
    return outputs

  return predict


def writer(config: ConfigDict, data: SkeletonDataset) -> Callable[..., None]:
  """Returns a method's `write`: `predictions.json`, and an animated GIF for each clip.

  The file has {name: {"class": the most probable, "scores": {class: probability}}},
  with all classes, so that the streams of several runs can be fused.
  """

  def write(
    inputs: Mapping[str, np.ndarray], outputs: Mapping[str, PyTree], folder: Path
  ) -> None:
    rows = {k: _row(v["probabilities"], data.classes) for k, v in outputs.items()}
    files.write_json(folder / "predictions.json", rows)
    for (name, clip), film in zip(inputs.items(), _names(inputs), strict=True):
      interruption.check()
      caption = _caption(outputs[name], data.classes)
      draw_clip(config, data, clip, outputs[name], folder / f"{film}.gif", caption)

  return write


def draw_tests(
  config: ConfigDict,
  data: SkeletonDataset,
  predict: Callable[[PyTree, Array], dict[str, Array]],
  variables: PyTree,
  folder: Path,
  *,
  count: int = 4,
) -> None:
  """Draws the first test clips with what was predicted and what is true."""
  test = data.splits["test"]
  batch = test[np.arange(min(count, len(test)))]
  outputs = jax.device_get(jax.jit(predict)(variables, batch["skeleton"]))
  for i, (clip, label) in enumerate(zip(*batch.values(), strict=True)):
    interruption.check()
    own = {name: value[i] for name, value in outputs.items()}
    caption = f"{_caption(own, data.classes)}\ntruth: {data.classes[label]}"
    draw_clip(config, data, clip, own, folder / f"clip_{i}.gif", caption)


def draw_clip(
  config: ConfigDict,
  data: SkeletonDataset,
  clip: np.ndarray,
  output: Mapping[str, np.ndarray],
  path: Path,
  caption: str,
) -> None:
  """Draws a clip as it was normalized, without the frames that fill it up."""
  frames = int(np.flatnonzero(clip.any((0, 2, 3))).max()) + 1
  positions = np.asarray(ops.normalize(jnp.asarray(clip), kind=data.normalize))
  importance = output.get("importance")
  viz.draw_skeleton(
    positions[:, :frames],
    path,
    parents=graphs.skeleton(find_graph(config, data)).parents,
    importance=None if importance is None else importance[:, :frames],
    caption=caption,
    # Joints that were not seen are 0; "frame" moves frames, and a clip of NTU has all.
    there=None if data.normalize == "frame" else clip[:, :frames].any(-1),
    axes=UPRIGHT if data.normalize == "frame" else (0, 1),
  )


def _row(chance: np.ndarray, classes: Sequence[str]) -> dict:
  order = np.argsort(-np.asarray(chance))
  scores = {classes[i]: round(float(chance[i]), 6) for i in order}
  return {"class": classes[order[0]], "scores": scores}


def _caption(output: Mapping[str, np.ndarray], classes: Sequence[str]) -> str:
  best = int(np.argmax(output["probabilities"]))
  return f"{classes[best]}, {100 * float(output['probabilities'][best]):.0f} %"


def _names(paths: Mapping[str, np.ndarray]) -> list[str]:
  """A film's name for each file: its stem, numbered where another has the same."""
  stems = [Path(path).stem for path in paths]
  return [f"{s}_{i}" if stems.count(s) > 1 else s for i, s in enumerate(stems)]
