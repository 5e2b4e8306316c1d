"""AherNet (Long et al., ECCV 2020): temporal localisation learned from trimmed moments.

The default trains a narrow network on the generated task: six classes with untrimmed
windows, six with trimmed clips only, on which it is tested. The paper's text could not
be had: what is not known of it is a field here, with the released code's choice in
`:paper`.
"""

from jaxvision import config as shared

# The released code, at its own scale.
PAPER = {
  "data.name": "activitynet",
  "data.length": 512,
  "data.width": 2048,
  "data.mode": "bin_mean",
  "data.moments.least": 8,
  "data.foreground.least": 32,
  "steps": 15000,
  "warm_start": 15000,
  "model.base_widths": (2048, 1024),
  "model.anchor_widths": (256, 256, 512, 512, 1024, 1024, 2048, 2048),
  "model.generator_width": 1024,
  "model.generator_output": "relu",
  "loss.positive": 0.8,
  "loss.force_best": False,
  "loss.bounds": (0.0, 511 / 512),
  "loss.extra_negatives": 15,
  "loss.loc_mean": "selected",
  "loss.overlap_on": "touching",
  "classes.legacy_scale": True,
  "optimizer.learning_rate": 1e-4,
  "optimizer.schedule.name": "multistep",
  "optimizer.schedule.warmup": 0.0,
  "optimizer.schedule.boundaries": (15000, 30000, 45000, 60000, 75000),
  "adversarial.learning_rate": 1e-4,
  "suppression.kind": "greedy",
  "suppression.threshold": 0.9,
  "suppression.candidates": 765,
}
THUMOS14_ACTIVITYNET = {
  **PAPER,
  "data.name": "thumos14",
  "data.window": "sliding",
  "data.stride": 128,
  "data.validation": 0.0,  # it is the target's videos that are validated on
  "data.target.name": "activitynet",
  "data.target.window": "resize",
}
ACTIVITYNET_KINETICS600 = {**PAPER, "data.target.name": "kinetics600"}
VARIANTS = {
  # Arms of the comparison on generated data, by what they add to each other.
  "pooled": {"model.class_weights": "same", "context.kind": "off"},  # A
  "transferred": {"context.kind": "off"},  # B
  "noise": {"context.kind": "noise"},  # C
  "unopposed": {"adversarial.weight": 0.0},  # D; the default is E
  "oracle": {"context.kind": "videos"},  # F
  # Other contexts.
  "zeros": {"context.kind": "zeros"},
  "background": {"context.kind": "background"},
  "whole": {"context.kind": "whole"},
  "between": {"context.placing": "between"},
  "fixed_place": {"context.ratio": (16, 16), "context.position": (10, 10)},
  # Other forms of the transfer.
  "linear": {"model.transfer_depth": 1, "model.transfer_activation": "none"},
  "one_layer": {"model.transfer_depth": 1},
  "shared": {"model.transfer_share": True},
  "direct": {"model.class_weights": "direct"},
  # Other losses, classes and updates.
  "independent": {"adversarial.masks": "independent"},
  "all_cells": {"classes.cells": "all"},
  "cell_classes": {"suppression.class_of": "cell", "suppression.agnostic": False},
  "action_rating": {"suppression.rating": "action"},
  "fused": {"fused": True},
  "cold": {"warm_start": 0},
  "samples": {"decay_unit": "samples"},
  # The released code's scale: a split of ActivityNet's classes, and two data sets.
  "paper": PAPER,
  "activitynet": PAPER,
  "thumos14_activitynet": THUMOS14_ACTIVITYNET,
  "activitynet_kinetics600": ACTIVITYNET_KINETICS600,
}


def get_config(variant: str = ""):
  config = shared.base("ahernet")
  config.data = shared.partial_actions()
  config.data.foreground.least = 5
  config.data.moments.least = 5
  config.batch_size = 16
  config.warm_start = 400  # steps on source videos alone, before the others; 0: none
  config.steps = 1000
  config.per_dispatch = 10
  config.fused = False  # two optimizer steps for eleven: faster, other dynamics
  config.decay_unit = "iterations"  # of multistep's boundaries; the code has samples
  config.model = dict(
    name="ahernet", base_widths=(64, 64), anchor_widths=(64, 64, 64, 64, 64),
    ratios=(1.0, 1.26, 1.587), head_kernel=3,
    class_weights="transfer",  # of cells: transfer, same (as of clips), direct
    transfer_depth=2, transfer_activation="elu", transfer_start="identity",
    transfer_share=False, generator_width=64,
    generator_output="none",  # relu for features that are never negative
  )  # fmt: skip
  _set_objective(config)
  _set_detection(config)
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 3e-3
  config.optimizer.schedule.name = "cosine"
  config.optimizer.schedule.unit = "steps"
  config.optimizer.schedule.warmup = 50.0
  config.eval.every = 500
  config.eval.batch_size = 50
  return shared.finish(config, variant, VARIANTS)


def _set_objective(config):
  """Losses, and what takes the place of untrimmed videos of target classes."""
  # Of proposals; weights are the released code's, the thresholds suit few steps.
  config.loss = dict(
    class_weight=2.0, loc_weight=1.0, overlap_weight=25.0, positive=0.5, negative=0.3,
    force_best=True, bounds=(0.0, 1.0), negative_ratio=1.0, extra_negatives=0,
    mining="batch", loc_target="encoded", loc_beta=1.0, loc_mean="positives",
    sigma_from_loc=False, overlap_on="all",
  )  # fmt: skip
  config.classes = dict(
    clip_weight=2.0,
    cell_weight=2.0,
    cells="foreground",  # or all, as in the released code
    legacy_scale=False,  # divides the loss of clips by the batch once more
  )
  config.context = dict(
    kind="generated",  # noise, zeros, background, whole, videos (an oracle), off
    ratio=(14, 19),  # range of the moment's length, in twentieths of the window
    position=(1, 19),
    placing="inside",  # or between
    noise=0.5,  # noise: standard deviation
    legacy_odd_end=False,
  )
  config.adversarial = dict(
    weight=0.1,  # of all its losses; 0: there are no discriminators
    below=0.3,  # IoU below which an anchor is background
    masks="joint",  # or independent
    targets=(1.0, 0.0),  # of the discriminators, for real and synthetic
    rounds=2,  # updates of the generators after one of the discriminators
    learning_rate=1e-3,
    b1=0.5,
  )


def _set_detection(config):
  """From outputs to detections, and their measures."""
  config.suppression = dict(
    kind="soft",
    sigma=0.3,
    low=0.0,
    high=0.0,
    threshold=0.5,
    strict=True,  # greedy: an IoU equal to the threshold is kept
    agnostic=True,  # a video has one class
    candidates=200,
    keep=100,
    class_of="video",  # or cell, for videos of several classes
    rating="overlap",  # of a proposal, or action
  )
  config.metric = dict(
    protocol="activitynet",
    thresholds=(0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
    recall_thresholds=(0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
  )  # fmt: skip
