"""Domain-class correlation decomposition as a method: step, state, variants, runs."""

import json

import numpy as np
import pictures
import pytest
from decomposition_support import small
from reid_support import make_user_tree

from configs import domain_class_decomposition as configs
from jaxvision import experiment
from jaxvision.errors import UserError
from jaxvision.methods import domain_class_decomposition as method
from jaxvision.methods.common import (
  reid_data,
  reid_evaluation,
  reid_ranking,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  target = tmp_path_factory.mktemp("vectors")
  experiment.run(small(), target)
  return target


def results(folder, name="results"):
  return json.loads((folder / f"{name}.json").read_text())["metrics"]


def test_a_run_says_what_is_promised(folder):
  found = results(folder)
  for prefix in ("", "target0/", "target1/", "val/", "best/", "val/held_out/"):
    assert 0 <= found[f"{prefix}rank1"] <= found[f"{prefix}rank5"] <= 1
    assert found[f"{prefix}map"] == pytest.approx(found[f"{prefix}minp"])  # one match
    assert found[f"{prefix}valid"] == 1
  each = [found[f"target{k}/map"] for k in range(2)]
  assert found["map"] == pytest.approx(np.mean(each))
  assert found["probe/chance"] == 0.25 <= found["probe/domain"] <= 1
  assert {"probe/correlated", "probe/others"} <= set(found)
  lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
  (logs,) = [line for line in lines if line["split"] == "train"]
  assert set(logs) >= {"identity_loss", "moved_loss", "domain_loss", "accuracy"}


def test_the_bank_is_in_the_checkpoint(folder):
  plan = experiment.prepare(method, small())
  now = experiment.final_state(plan, folder)
  assert now["bank"].count.tolist() == [4.0 * 8] * 4
  (stage,) = plan.method.stages
  expected = results(folder)
  for name, value in stage.evaluate(now, {}, "val").items():
    assert value == pytest.approx(expected[f"val/{name}"])
  with pytest.raises(UserError, match=r"eval\.split is 'dev'; generated has val, test"):
    stage.evaluate(now, {}, "dev")


def test_vectors_are_described_and_ranked(folder, tmp_path):
  rows = np.random.default_rng(0).normal(size=(5, 64)).astype(np.float32)
  np.save(tmp_path / "query.npy", rows[:2])
  np.save(tmp_path / "gallery.npy", rows)
  config = small(**{"retrieval.gallery": str(tmp_path / "gallery.npy")})
  experiment.run(config, folder, "predict", inputs=[str(tmp_path / "query.npy")])
  ranking = json.loads((folder / "predictions" / "ranking.json").read_text())
  assert list(ranking) == [f"{tmp_path}/query.npy:{i}" for i in range(2)]
  for i, found in enumerate(ranking.values()):
    assert len(found) == 5 and found[0]["name"] == f"{tmp_path}/gallery.npy:{i}"
    distances = [row["distance"] for row in found]
    assert distances == sorted(distances) and distances[0] < 1e-2
  arrays = np.load(folder / "predictions" / "descriptors.npz", allow_pickle=False)
  assert arrays["name"].shape == (7,)
  np.testing.assert_allclose(np.linalg.norm(arrays["descriptor"], axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(
  "content, words",
  [
    (np.zeros((2, 3)), "vectors are"),
    (np.array([["a"] * 64]), "vectors are"),
    (None, "is no .npy file"),
  ],
)
def test_other_vectors_are_refused(tmp_path, content, words):
  path = tmp_path / "x.npy"
  path.write_bytes(b"nothing") if content is None else np.save(path, content)
  with pytest.raises(UserError, match=words):
    list(reid_data.read_inputs(str(path), (64,)))
  with pytest.raises(UserError, match="there is no"):
    list(reid_data.read_inputs(str(tmp_path / "no.npy"), (64,)))
  with pytest.raises(UserError, match=r"has no \.png"):
    list(reid_data.read_inputs(str(tmp_path), (8, 4, 3)))


def test_without_a_gallery_queries_search_each_other():
  z = np.array([[0.0], [1.0], [3.0]])
  rows = np.arange(3)
  best, distances = reid_ranking.rank(z, rows, rows, 5)
  np.testing.assert_array_equal(best, [[1, 2], [0, 2], [1, 0]])
  np.testing.assert_allclose(distances, [[1, 3], [1, 2], [2, 3]], atol=1e-6)
  for query, top in ((rows[:1], 0), (rows[:1], 5)):
    with pytest.raises(UserError, match="nothing to search in"):
      reid_ranking.rank(z, query, query, top)


def test_an_input_is_query_or_gallery(tmp_path):
  rows = np.zeros((3, 64), np.float32)
  np.save(tmp_path / "all.npy", rows)
  config = small(**{"retrieval.gallery": str(tmp_path / "." / "all.npy")})
  read = reid_data.reader(config, method.load(config, abstract=True))
  with pytest.raises(UserError, match=r"all\.npy:0 is in config\.retrieval\.gallery"):
    dict(read([str(tmp_path / "all.npy")]))
  config.retrieval.gallery = ""
  assert len(dict(read([str(tmp_path / "all.npy")]))) == 3


def test_one_image_may_be_the_gallery_and_few_queries_are_drawn(tmp_path, monkeypatch):
  drawn = pictures.recorded(monkeypatch)
  names = [str(tmp_path / f"{i}.png") for i in range(11)]
  config = small(**{"retrieval.gallery": names[-1]})
  images = {name: np.full((8, 4, 3), i, np.uint8) for i, name in enumerate(names)}
  outputs = {name: {"descriptor": np.eye(11)[i]} for i, name in enumerate(names)}
  reid_ranking.writer(config)(images, outputs, tmp_path)
  ranking = json.loads((tmp_path / "ranking.json").read_text())
  assert list(ranking) == names[:-1]
  assert all([row["name"] for row in rows] == names[-1:] for rows in ranking.values())
  assert len(drawn[0].axes) == 8 * 2
  assert drawn[0].get_suptitle() == "first 8 of 10 queries"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
  """A run on folders of images that are decoded as they are needed, with figures."""
  root = tmp_path_factory.mktemp("tree")
  make_user_tree(root, "abcd")
  config = small("", **{
    "data.name": "folders", "data.folder": str(root), "data.sources": ("a", "b", "c"),
    "data.targets": ("d",), "data.held_out": "c", "data.height": 16, "data.width": 8,
    "eval.every": 0, "log.figures": True, "retrieval.top": 3, "retrieval.flip": True,
    "data.resident_bytes": 0,
  })  # fmt: skip
  experiment.run(config, root / "run")
  return root, config


def test_images_of_folders(images):
  root, config = images
  found = results(root / "run")
  assert found["d/map"] == found["map"] and "val/c/map" in found
  assert "probe/domain" in found and "probe/correlated" not in found
  drawn = {path.name for path in (root / "run" / "figures").iterdir()}
  assert drawn == {"training_train.png", "rank_lists_d.png"}
  queries = [str(root / "a" / name) for name in ("p0_c0_1.png", "p1_c0_3.png")]
  config.retrieval.gallery = str(root / "d")
  experiment.run(config, root / "run", "predict", inputs=queries)
  ranking = json.loads((root / "run" / "predictions" / "ranking.json").read_text())
  assert list(ranking) == queries and all(len(rows) == 3 for rows in ranking.values())
  assert all("/d/" in row["name"] for rows in ranking.values() for row in rows)
  assert (root / "run" / "predictions" / "ranking.png").stat().st_size > 0


def test_metrics_are_means_over_splits():
  rng = np.random.default_rng(0)
  config = small()
  (target,) = method.load(config).targets["val"].values()
  (split,) = target.splits
  z = rng.normal(size=(len(target.people), 3))
  z[split.gallery[:6]] = z[split.query[:6]]  # these are found at once
  parts = (split._replace(query=split.query[:6]), split)
  found = reid_evaluation.search(z, target._replace(splits=parts))
  alone = [reid_evaluation.search(z, target._replace(splits=(part,))) for part in parts]
  assert alone[0]["rank1"] == 1 > alone[1]["rank1"]
  for key in found:
    assert found[key] == pytest.approx(np.mean([m[key] for m in alone]))


@pytest.mark.parametrize("variant", configs.VARIANTS)
def test_every_variant_makes_sense(variant):
  config = configs.get_config(variant)
  assert config.variant == variant
  method.check(config, method.load(config, abstract=True))


@pytest.mark.parametrize(
  "changes, words",
  [
    ({"transport.kind": "none"}, "no feature is moved"),
    ({"transport.kind": "style"}, "config.transport.kind is 'style'"),
    ({"transport.draw": "any"}, "config.transport.draw is 'any'"),
    ({"bank.mode": "mean"}, "choose one of ema, cumulative"),
    ({"adversary.on": "x"}, "choose one of none, z, z_star, both"),
    ({"adversary.kind": "gan"}, "choose one of reversal, alternating"),
    ({"adversary.penalty": 1.0}, "adversary.penalty is for"),
    ({"neck.place": "behind"}, "choose one of before, after"),
    ({"quantize.weights": ({"at": ".*"},)}, "does not train quantized networks"),
    (
      {"transport.draw": "others", "data.drawn.sources": 1},
      "needs two sources or more",
    ),
    ({"batch.images": 40}, "config.batch asks for 320 images; there are 64"),
    ({"batch.identities": 5, "batch.images": 1}, "there are 4 in a source"),
  ],
)
def test_mistakes(changes, words, tmp_path):
  with pytest.raises(UserError, match=words):
    experiment.run(small(**changes), tmp_path)
