# %% [markdown]
# # GTAN: finding actions in time
#
# Long, Yao, Qiu, Tian, Luo, Mei: *Gaussian Temporal Awareness Networks for Action
# Localization*, CVPR 2019. Measured numbers, variants and departures are in
# [docs/methods/gtan.md](../../docs/methods/gtan.md).
#
# Actions in a video last from seconds to minutes. A detector with one fixed window a
# cell of its pyramid misses what lies between its scales. GTAN lets every cell $i$ of a
# layer with $t$ cells predict a standard deviation $\sigma_i$, and pools the features
# $x_j$ with the Gaussian of that width:
#
# $$p_i = \sum_j w_{ij}\, x_j, \qquad
# w_{ij} \propto \exp\Big(-\frac{(j/t - i/t)^2}{2\sigma_i^2}\Big), \qquad
# \sum_j w_{ij} = 1.$$
#
# The same $\sigma_i$ is the width of the cell's anchor, from which the ends of the
# action are predicted.

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

from configs.gtan import get_config
from jaxvision import experiment
from jaxvision.methods import gtan
from jaxvision.ops import gaussian
from jaxvision.viz import figures, timeline

config = get_config()
if support.FAST:  # tiny, to test this notebook
  config.update_from_flattened_dict({
    "data.length": 32, "data.generated.train": 16, "data.generated.val": 4,
    "data.generated.test": 2, "model.base_widths": (4,), "model.anchor_widths": (4, 4),
    "metric.thresholds": (0.5, 0.75), "metric.recall_thresholds": (0.5,),
    "batch_size": 8, "steps": 4, "per_dispatch": 1, "optimizer.schedule.warmup": 1.0,
    "log.every": 2, "eval.every": 0, "eval.batch_size": 2, "suppression.candidates": 16,
    "suppression.keep": 8,
  })  # fmt: skip
support.fit_devices(config)
workdir = support.folder("gtan")
pictures = workdir / "pictures"

# %% [markdown]
# ## Kernels that pool
#
# Every piece is a pure function of arrays. A signal (grey) is pooled at four cells:
# narrow kernels see their own cell alone, wide ones mix a short action with what is
# around it. A dot is what a cell gets.

# %%
grid = gaussian.cell_centers(128)
signal = ((grid > 0.2) & (grid < 0.3)) | ((grid > 0.55) & (grid < 0.9))
centers = jnp.array([0.1, 0.25, 0.5, 0.75])
figure, axes = figures.grid(1, 2, (5.0, 2.8))
for panel, sigma in zip(axes[0], (0.03, 0.12), strict=True):
  weights = gaussian.gaussian_weights(centers, jnp.full(4, sigma), grid)
  pooled = gaussian.gaussian_pool(signal[:, None].astype(jnp.float32), weights)[:, 0]
  panel.fill_between(grid, signal, color=figures.LIGHT, step="mid")
  for k, color in enumerate(figures.PALETTE[:4]):
    panel.plot(grid, weights[k] / weights[k].max(), color=color)
    panel.plot(centers[k], pooled[k], "o", color=color)
  figures.dress(panel, title=f"standard deviation {sigma}", xlabel="time in the window")
support.show(figures.save(figure, pictures / "kernels.png"))

# %% [markdown]
# ## Kernels that merge
#
# Neighbours whose intervals overlap by more than a threshold may grow into one wider
# kernel (section 3.4), again a pure function with static shapes, for `jit` and `vmap`.

# %%
cells = gaussian.cell_centers(12)
sigmas = jnp.array([2, 2, 3, 12, 13, 12, 3, 2, 8, 9, 3, 2]) / 100
centers, widths, valid, group = gaussian.group_kernels(cells, sigmas, threshold=0.35)
print("groups:", group)
rows = [
  timeline.Kernels("one a cell", *map(np.asarray, (cells, sigmas))),
  timeline.Kernels("merged", *map(np.asarray, (centers, widths, valid))),
]
support.show(
  timeline.draw_timeline(
    rows, pictures / "merged.png", duration=1.0, xlabel="time in the window"
  )
)

# %% [markdown]
# ## Training
#
# The default generates its videos: windows of 128 steps with 1 to 3 actions of 5
# classes, and incomplete actions, which must not be found. It trains for about two
# minutes on two CPU cores. Run the cell again after an interruption, and it resumes;
# after a change of the config, give it another folder.

# %%
result = experiment.run(config, workdir)

# %% [markdown]
# The run has drawn its figures: losses and validation metrics over time, and timelines
# of test videos with the truth, what was found, and the kernels of every layer.

# %%
support.show(workdir / "figures")

# %% [markdown]
# How strict is mAP about the ends of an action? Average precision over the temporal IoU
# that a detection must reach:

# %%
figure, [[panel]] = figures.grid(1, 1, (5.0, 3.0))
thresholds = config.metric.thresholds
panel.plot(thresholds, [result["metrics"][f"map/{t:.2f}"] for t in thresholds], "o-")
figures.dress(panel, xlabel="temporal IoU", ylabel="mAP", title="test windows")
support.show(figures.save(figure, pictures / "strictness.png"))

# %% [markdown]
# The trained detector is a pure function, too, from features to segments, scores and
# classes. `experiment.run` with the mode "export" writes it to a file of StableHLO.

# %%
plan = experiment.prepare(gtan, config)
variables = plan.method.variables(experiment.final_state(plan, workdir))
window = gtan.load(config).splits["test"].features[:1]
found = jax.jit(plan.method.predict)(variables, window)
print({name: x.shape for name, x in found.items()})

# %% [markdown]
# ## Your own videos
#
# A folder of features and an annotation file are enough. Features are `.npy`, `.npz`,
# `.csv` or `.h5`, one file a video; annotations are JSON in the form of ActivityNet or
# BMN, or THUMOS14's folder of text files. Classes and widths follow from the files.
#
# ```python
# config = get_config()
# config.data.features = "FOLDER"
# config.data.annotations = "FILE.json"
# experiment.run(config, "runs/mine")
# experiment.run(config, "runs/mine", "predict", inputs=["VIDEO.npy"])
# ```
#
# `python -m jaxvision.data.validate --annotations=FILE.json --features=FOLDER` names
# every bad file, key and segment beforehand. More on windows, formats and the published
# data sets: [docs/methods/gtan.md](../../docs/methods/gtan.md).
