# %% [markdown]
# # AherNet: localising actions of which there are only moments
#
# Long, Yao, Qiu, Tian, Luo, Mei: *Learning to Localize Actions from Moments*, ECCV
# 2020. What is measured, and what is not known of the paper, is in
# [docs/methods/ahernet.md](../../docs/methods/ahernet.md).
#
# Source classes have untrimmed videos with annotated actions; target classes have
# trimmed clips only, *moments*. What is missing of the target classes is taken from
# moments in two ways. A function, learned on source classes, turns the weights of a
# classifier of clips into those of a classifier of cells of an untrimmed video,
#
# $$w^{cell}_k = T\big(w^{clip}_k\big),$$
#
# and generators make features $G_s(m)$, $G_e(m)$ that precede and follow a moment $m$,
# so that $[G_s(m), m, G_e(m)]$ is an untrimmed sequence with known ends. Discriminators
# compare its background with that of real videos.

# %%
# On Colab: the address for `git clone` of your copy of jaxvision; or leave it empty and
# put the folder at /content/jaxvision. Elsewhere it is not used.
REPOSITORY = ""

import subprocess
import sys
from pathlib import Path

here = Path("/content/jaxvision") if "google.colab" in sys.modules else Path.cwd()
if not here.exists():
  assert REPOSITORY, "Set REPOSITORY, or put the folder at /content/jaxvision."
  subprocess.run(["git", "clone", "--depth=1", REPOSITORY, str(here)], check=True)
root = next(p for p in (here, *here.parents) if (p / "experiments/notebooks").is_dir())
sys.path.insert(0, str(root))

from experiments.notebooks import support

support.install()  # on Colab alone
support.show_devices()

# %%
import jax
import jax.numpy as jnp
import numpy as np

from configs.ahernet import get_config
from jaxvision import experiment
from jaxvision.data.partial import load_partial
from jaxvision.ops import contextual_moments as lib
from jaxvision.viz import figures, timeline

config = get_config()
if support.FAST:  # tiny, to test this notebook
  config.update_from_flattened_dict({
    "data.length": 32, "data.foreground.least": 1, "data.generated.source": 16,
    "data.generated.target": 16, "data.generated.moments": 16, "data.generated.val": 2,
    "data.generated.test": 2, "data.generated.source_classes": 3,
    "data.generated.target_classes": 2, "data.generated.width": 6,
    "model.base_widths": (4,), "model.anchor_widths": (4,), "model.ratios": (1.0,),
    "model.transfer_depth": 1, "model.generator_width": 4, "suppression.keep": 8,
    "suppression.candidates": 16, "metric.thresholds": (0.5, 0.75),
    "metric.recall_thresholds": (0.5,), "batch_size": 8, "warm_start": 0, "steps": 2,
    "adversarial.rounds": 1, "per_dispatch": 1, "optimizer.schedule.warmup": 1.0,
    "log.figures": False, "log.every": 1, "eval.every": 0, "eval.batch_size": 2,
  })  # fmt: skip
support.fit_devices(config)
workdir = support.folder("ahernet")
pictures = workdir / "pictures"

# %% [markdown]
# ## What there is
#
# The default generates its data. An untrimmed window of a source class comes with the
# ends of its actions; a moment of a target class is nothing but the action.

# %%
data = load_partial(config.data)
windows = data.source[np.arange(2)]
rows = [
  timeline.Bars(f"window {k}", ends[there], label[there])
  for k, (ends, label, there) in enumerate(
    zip(windows["segments"], windows["label"], windows["valid"], strict=True)
  )
]
fields = dict(duration=1.0, classes=data.source_classes, xlabel="time in the window")
support.show(timeline.draw_timeline(rows, pictures / "source.png", **fields))

# %% [markdown]
# ## Contextual moments
#
# Every piece is a pure function of arrays. A moment is put inside one of its contexts,
# with a length and a place that are drawn, and all three are resized to fit: static
# shapes, for `jit` and `vmap`. Below, contexts are made simple, to be seen: what
# precedes is blue, what follows is red, the moment has a pattern of its own. Lines are
# the known ends.

# %%
steps, width = 128, 24
moment = jnp.sin(jnp.linspace(0, 9, 64))[:, None] * jnp.linspace(-1, 1, width)
start, end = jnp.full((64, width), -0.4), jnp.full((64, width), 0.4)
ratio = lib.draw_twentieths(jax.random.key(0), 6, low=6, high=14)
position = lib.draw_twentieths(jax.random.key(1), 6, low=1, high=19)
odd = jnp.arange(6) % 2 == 1


@jax.jit
@jax.vmap
def make(ratio, position, odd):
  """A sequence, and where its moment starts and ends."""
  place = lib.place_moment(ratio, position, odd, steps=steps)
  sequence = lib.synthesize(moment, start, end, place, steps=steps)
  return sequence, lib.moment_segment(place, odd)


figure, axes = figures.grid(2, 3, (3.8, 1.9))
for panel, sequence, ends in zip(axes.flat, *make(ratio, position, odd), strict=True):
  panel.imshow(sequence.T, cmap=figures.DIVERGING, vmin=-1, vmax=1, aspect="auto")
  for step in ends:
    panel.axvline(step - 0.5, color=figures.INK)
  figures.bare(panel, title=f"steps {ends[0]:.0f} to {ends[1]:.0f}")
support.show(figures.save(figure, pictures / "sequences.png"))

# %% [markdown]
# ## Training
#
# After a warm start on source videos, one step is six ordered updates, each of which
# sees what those before it changed: classifiers of clips, localiser and transfer,
# generators, discriminators, the localiser on synthetic sequences. All of it is one
# program, which takes a minute to compile on a CPU. Run the cell again after an
# interruption, and it resumes; after a change of the config, give it another folder.

# %%
result = experiment.run(config, workdir)

# %% [markdown]
# The figures of the run: training over time, with the discriminators' accuracy on
# held-out background, and timelines of target classes.

# %%
support.show(workdir / "figures")

# %% [markdown]
# ## Your own videos
#
# Two sources, each a folder of features and a JSON file in ActivityNet's form:
# untrimmed videos of the source classes, and clips of the target classes. Untrimmed
# videos of the target classes are to be tested on.
#
# ```python
# config = get_config()
# config.data.features, config.data.annotations = "VIDEOS", "VIDEOS.json"
# config.data.moments.features, config.data.moments.annotations = "CLIPS", "CLIPS.json"
# config.data.target.features, config.data.target.annotations = "TESTS", "TESTS.json"
# experiment.run(config, "runs/mine")
# experiment.run(config, "runs/mine", "predict", inputs=["VIDEO.npy"])
# ```
#
# How classes are split where there is one source of videos only, and the arms of the
# comparison: [docs/methods/ahernet.md](../../docs/methods/ahernet.md).
