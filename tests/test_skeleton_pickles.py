"""pyskl's pickles: only with permission, and what is in them."""

import pickle

import numpy as np
import pytest
from skeleton_support import config, same_plan

from jaxvision.data import skeletons
from jaxvision.errors import UserError


def pyskl(path, **fields):
  rng = np.random.default_rng(0)
  annotations = [
    {
      "frame_dir": f"clip{i}",
      "label": i % 3,
      "keypoint": rng.normal(size=(1 + i % 2, 4, 25, 3)).astype(np.float16),
    }
    for i in range(6)
  ]
  names = [a["frame_dir"] for a in annotations]
  split = {"xsub_train": names[:4], "xsub_val": names[4:]}
  content = {"split": split, "annotations": annotations, **fields}
  path.write_bytes(pickle.dumps(content))
  return annotations


def test_pickles_need_permission(tmp_path):
  path = tmp_path / "poses.pkl"
  annotations = pyskl(path)
  fields = config(folder=str(path), length=5, validation=0.0)
  with pytest.raises(UserError, match="allow_pickle"):
    skeletons.load_skeletons(fields)
  fields.allow_pickle = True
  data = same_plan(fields)
  assert data.name == "poses" and data.classes == ("0", "1", "2")
  train = data.splits["train"]
  assert train.names == ("clip0", "clip1", "clip2", "clip3")
  np.testing.assert_array_equal(train.skeleton[1, :, :4], annotations[1]["keypoint"])
  assert data.splits["test"].names == ("clip4", "clip5")
  fields.protocol = "xview"
  with pytest.raises(UserError, match="no split 'xview_train', but xsub_train"):
    skeletons.load_skeletons(fields)


@pytest.mark.parametrize("fields", [{"split": 3}, {"annotations": [{}]}])
def test_foreign_pickles(tmp_path, fields):
  pyskl(tmp_path / "poses.pkl", **fields)
  with pytest.raises(UserError, match="damaged"):
    skeletons.load_skeletons(
      config(folder=str(tmp_path / "poses.pkl"), allow_pickle=True)
    )


def test_pixels_become_shares_of_the_image(tmp_path):
  pose = np.tile(np.array([320.0, 60.0]), (1, 2, 18, 1))
  score = np.ones((1, 2, 18))
  score[0, 0, 3] = 0
  pose_of = {"frame_dir": "a", "label": 0, "keypoint": pose, "keypoint_score": score}
  content = {
    "split": {"train": ["a"], "val": ["a"]},
    "annotations": [{**pose_of, "img_shape": (240, 320)}],
  }
  (tmp_path / "poses.pkl").write_bytes(pickle.dumps(content))
  fields = config(folder=str(tmp_path / "poses.pkl"), allow_pickle=True, length=2)
  data = skeletons.load_skeletons(fields)
  clip = data.splits["train"].skeleton[0, 0]
  np.testing.assert_allclose(clip[1, 3], (0.5, 0.25, 1))
  np.testing.assert_array_equal(clip[0, 3], 0)
  assert data.skeleton == "openpose"
