"""The config of IE-KD: arms, the paper's scale, mistakes."""

import jax
import jax.numpy as jnp
import pytest
from iekd_support import QUANTIZED, configure

from configs import iekd as config_file
from jaxvision import experiment
from jaxvision.errors import UserError
from jaxvision.methods import iekd as method
from jaxvision.methods.common import criteria, mutual
from jaxvision.methods.common.distillation import begin

KEY = jax.random.key(0)


def test_arms_without_weight_train_as_plain_cross_entropy():
  fields = {"distill.inherit_weight": 0.0, "distill.explore_weight": 0.0}
  found = criteria.build(configure(**fields), [(1, 2, 2, 8)])
  assert found.loss is None and found.adapter is None and found.task_weight == 1


def test_every_kind_has_a_config():
  kinds = {config_file.get_config(v).distill.kind for v in config_file.VARIANTS}
  assert kinds == {*criteria.KINDS, *mutual.KINDS}


@pytest.mark.parametrize("variant", ["paper", "imagenet"])
def test_paper_scale_is_planned_without_data(variant):
  """`--mode=plan` also compiles; here the shapes are enough."""
  config = config_file.get_config(variant)
  data = method.load(config, abstract=True)
  stages = {s.name: s for s in method.build(config, data).stages}
  epoch = {"paper": 390, "imagenet": 5004}[variant]
  student = stages["student"]
  assert student.steps == config.epochs * epoch
  assert stages["autoencoder"].steps == config.coder.epochs * epoch
  assert jax.tree.leaves(student.spec)[0].shape[0] == config.batch_size


def test_paper_scale_networks_have_their_published_sizes():
  config = config_file.get_config("paper")
  x = jnp.zeros((1, 32, 32, 3))
  sizes = {}
  for name, own in {
    "student": config,
    "teacher": method.images.teacher_config(config),
  }.items():
    model = method.supervised.build_model(own, 10)
    criterion = criteria.build(own, [(1, 8, 8, 64)])
    found = jax.eval_shape(lambda x, m=model, c=criterion: begin(KEY, m, x, c), x)
    sizes[name] = {
      k: sum(x.size for x in jax.tree.leaves(v)) for k, v in found["params"].items()
    }
  assert sizes["teacher"]["student"] == 853_018
  assert sizes["student"] == {"student": 269_722, "adapter": 2 * 27_840}


@pytest.mark.parametrize(
  "changes, words",
  [
    ({"distill.kind": "fsp"}, "config.distill.kind is 'fsp'; choose one of none, ie"),
    ({"distill.distance": "l3"}, "config.distill.distance is 'l3'"),
    (
      {"distill.taps": ("pool9",)},
      "'pool9' is no place of the teacher; its places are",
    ),
    (
      {"distill.taps": ("relu1", "dense1")},
      "compares one feature; give one tap, not 2",
    ),
    ({"distill.teacher_taps": ("relu1", "dense1")}, "has 1 taps and 2 teacher_taps"),
    ({"distill.kind": "ie_dml", "distill.taps": ("relu1", "dense1")}, "one tap"),
    ({"teacher.init_from": "/nowhere.npz"}, "/nowhere.npz"),
    ({"distill.kind": "dml", **QUANTIZED}, "trains both networks from the start"),
    ({"distill.kind": "dml", "init_from": "x.npz"}, "trains both networks"),
  ],
)
def test_mistakes_are_one_sentence(tmp_path, changes, words):
  with pytest.raises(UserError) as error:
    experiment.run(configure(**changes), tmp_path)
  assert words in str(error.value) and "\n" not in str(error.value)
