"""Insertion rules from config entries."""

import inspect

import pytest
from ml_collections import ConfigDict

from jaxvision.errors import UserError
from jaxvision.layers import transforms
from jaxvision.layers.dropout import ContinuousDropout
from jaxvision.ops.masks import MaskSpec

ENTRY = {"at": "relu.*", "kind": "continuous_dropout"}


def test_a_config_entry_makes_a_rule():
  fields = {"mask": "gaussian", "std": 0.5, "broadcast_axes": [1], "name": "noise"}
  for entry in (ENTRY | fields, ConfigDict(ENTRY | fields)):
    rule = transforms.make_rule(entry)
    assert (rule.pattern, rule.name) == ("relu.*", "noise")
    module = rule.make("noise", True)
    assert module.spec == MaskSpec("gaussian", std=0.5)
    assert module.broadcast_axes == (1,) and not module.deterministic


def test_defaults_of_an_entry_are_those_of_the_function():
  module = transforms.make_rule(ENTRY).make("x", False)
  assert module.spec == MaskSpec() and module.deterministic
  own = inspect.signature(transforms.continuous_dropout).parameters
  assert module.rescale == own["rescale"].default == ContinuousDropout.rescale
  assert module.mean_mode == own["mean_mode"].default == ContinuousDropout.mean_mode


def test_repeated_kinds_are_numbered():
  rules = transforms.make_rules([ENTRY, ENTRY | {"at": "input"}])
  assert [r.name for r in rules] == ["continuous_dropout", "continuous_dropout_1"]


@pytest.mark.parametrize(
  ("entry", "named"),
  [
    ({"at": "x"}, "has no 'kind'"),
    ({"kind": "continuous_dropout"}, "has no 'at'"),
    (ENTRY | {"kind": "blur"}, "'blur'; choose one of continuous_dropout"),
    (ENTRY | {"sigma": 1.0}, "no field 'sigma'; it has mask, rate"),
    (ENTRY | {"rate": 2.0}, "relu.*rate is 2.0"),
    (ENTRY | {"mask": "poisson"}, "poisson"),
    (ENTRY | {"rescale": "both"}, "both"),
  ],
)
def test_a_bad_entry_is_refused(entry, named):
  with pytest.raises(UserError, match=named):
    transforms.make_rule(entry)
