"""Configs and small files of skeletons for tests."""

import json
import pathlib

import numpy as np
import pytest

from jaxvision import config as config_lib
from jaxvision.data import skeletons

GOLDEN = pathlib.Path(__file__).parent / "golden"
NAMES = ("S001C002P001R001A009", "S002C001P003R002A055", "S003C003P007R001A052")
SMALL = {"train": 6, "val": 3, "test": 4, "noise": 0.01}


def config(**fields):
  return config_lib.skeletons(**{"generated": SMALL, **fields})


def same_plan(fields):
  real, plan = skeletons.load_skeletons(fields), skeletons.abstract_skeletons(fields)
  assert real[:3] == plan[:3] and real[4:] == plan[4:]
  for name, examples in real.splits.items():
    abstract = plan.splits[name]
    assert len(examples) == len(abstract) and examples.spec == abstract.spec
    assert examples.nbytes == abstract.nbytes
    with pytest.raises(TypeError):
      abstract[np.arange(1)]
  return real


def clip(seed=0, persons=1, frames=4):
  """Bodies with four decimals, as float64 [m, t, 25, 3]; the first moves most."""
  rng = np.random.default_rng(seed)
  size = np.arange(persons, 0, -1)[:, None, None, None]
  return (size * rng.normal(size=(persons, frames, 25, 3))).round(4)


def skeleton_text(bodies):
  """A `.skeleton` file of bodies that are in every frame."""
  lines = [str(bodies.shape[1])]
  for frame in bodies.transpose(1, 0, 2, 3):
    lines.append(str(len(frame)))
    for joints in frame:
      lines += ["72057594037944738 0 1 1 1 1 0 0.09 0.08 2", "25"]
      lines += [f"{x} {y} {z} 1.5 2.5 3.5 4.5 0 0 0 0 2" for x, y, z in joints]
  return "\n".join(lines) + "\n"


def write_skeletons(folder, names, frames=4):
  """Writes one file a name; returns {name: its bodies}."""
  folder.mkdir(parents=True, exist_ok=True)
  bodies = {name: clip(i, 1 + i % 2, frames) for i, name in enumerate(names)}
  for name, body in bodies.items():
    (folder / f"{name}.skeleton").write_text(skeleton_text(body))
  return bodies


def ntu_names(performers=(1, 2, 3, 6), cameras=(1, 2, 3), actions=(1, 9, 60)):
  return [
    f"S00{1 + p % 2}C00{c}P{p:03d}R001A{a:03d}"
    for p in performers
    for c in cameras
    for a in actions
  ]


def kinetics_clip(persons=2, indices=(0, 1, 2), seed=0):
  """The JSON of a clip, and its poses [m, t, 18, 2] and scores [m, t, 18]."""
  rng = np.random.default_rng(seed)
  pose = rng.uniform(0.1, 0.9, (persons, len(indices), 18, 2)).round(3)
  score = rng.uniform(0.1, 1, (persons, len(indices), 18)).round(3)
  data = [
    {
      "frame_index": index,
      "skeleton": [
        {"pose": pose[m, i].ravel().tolist(), "score": score[m, i].tolist()}
        for m in range(persons)
      ],
    }
    for i, index in enumerate(indices)
  ]
  return {"data": data, "label": "juggle", "label_index": 1}, pose, score


def write_kinetics(folder, train=("a", "b"), val=("c",)):
  for split, names in (("train", train), ("val", val)):
    subfolder = folder / f"kinetics_{split}"
    subfolder.mkdir(parents=True)
    labels = {}
    for i, name in enumerate(names):
      content, _, _ = kinetics_clip(seed=i)
      (subfolder / f"{name}.json").write_text(json.dumps(content))
      labels[name] = {"has_skeleton": True, "label": "juggle", "label_index": 1}
    labels["nobody"] = {"has_skeleton": False, "label": "abseil", "label_index": 0}
    (folder / f"kinetics_{split}_label.json").write_text(json.dumps(labels))
