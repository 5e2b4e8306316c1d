# %% [markdown]
# # Quantization Networks: a staircase that sharpens
#
# Yang, Shen, Xing, Tian, Li, Deng, Huang, Hua: *Quantization Networks*, CVPR 2019.
# Measured numbers and claims are in
# [docs/methods/quantization_networks.md](../../docs/methods/quantization_networks.md).
#
# A quantizer is a sum of steps. Training replaces each step by a sigmoid whose
# temperature $T$ rises from epoch to epoch:
#
# $$y = \alpha \Big(\sum_{i=1}^{n} s_i\, \sigma\big(T (\beta x - b_i)\big) - o\Big),
# \qquad s_i = Y_{i+1} - Y_i .$$
#
# $Y_1 < \ldots < Y_{n+1}$ are the levels, $b_i$ the thresholds between them, $\alpha$
# and $\beta$ one scale a layer each. Quantization is differentiable, and at last exact.

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
import json

import jax
import jax.numpy as jnp
import numpy as np

from configs.quantization_networks import get_config
from jaxvision import experiment
from jaxvision.ops import quantization
from jaxvision.viz import curves, figures
from jaxvision.viz.quantization import Functions, draw_functions

config = get_config()
if support.FAST:  # tiny, to test this notebook
  config.update_from_flattened_dict({
    "data.name": "digits", "data.limit": 100, "data.validation": 40.0,
    "model.widths": (2, 4), "model.dense_width": 8, "model.norm": "none",
    "phases.float.epochs": 0.8, "phases.weights.epochs": 0.8, "batch_size": 20,
    "per_dispatch": 1, "log.figures": False, "log.every": 2, "eval.every": 2,
    "eval.batch_size": 40,
  })  # fmt: skip
support.fit_devices(config)
workdir = support.folder("quantization_networks")
pictures = workdir / "pictures"

# %% [markdown]
# ## The staircase at several temperatures
#
# Every piece is a pure function of arrays. A quantizer is fitted to given weights, and
# the temperature may be traced.

# %%
levels = quantization.LEVELS["w3pm2"]  # -2, -1, 0, 1, 2
weights = jax.random.normal(jax.random.key(0), (4096,))
own = quantization.init_quantizer(weights, levels, method="kmeans")._asdict()
x = jnp.linspace(-3.5, 3.5, 701)
soft = jax.jit(
  lambda x, t: quantization.soft_quantize(x, **own, levels=levels, temperature=t)
)
hard = quantization.hard_quantize(x, **own, levels=levels)
sharper = {t: np.asarray(soft(x, t)) for t in (2.0, 5.0, 20.0, 100.0)}
functions = Functions("five levels", np.asarray(x), sharper, np.asarray(hard))
support.show(draw_functions(functions, pictures / "staircase.png"))

# %% [markdown]
# ## What temperature does to gradients
#
# The colder, the better the sigmoids fit the steps (left), and the fewer weights still
# have a gradient to move by (right). That is why $T$ starts small.

# %%
temperatures = jnp.geomspace(1, 300, 30)
slope = jax.vmap(jax.grad(soft), (0, None))
exact = quantization.hard_quantize(weights, **own, levels=levels)
gap = jax.lax.map(lambda t: jnp.abs(soft(weights, t) - exact).mean(), temperatures)
moved = jax.lax.map(lambda t: (slope(weights, t) > 0.01).mean(), temperatures)
figure, [axes] = figures.grid(1, 2, (4.0, 2.8))
titles = ("mean distance to the steps", "share of weights with a gradient")
for panel, values, title in zip(axes, (gap, moved), titles, strict=True):
  panel.semilogx(temperatures, values)
  figures.dress(panel, title=title, xlabel="temperature")
support.show(figures.save(figure, pictures / "temperature.png"))

# %% [markdown]
# ## Training
#
# The default trains a small CNN in floating point, then its weights with the levels -1,
# 0, 1, on Fashion-MNIST, if that is found or can be downloaded, otherwise on the 8x8
# digits. It took 153 seconds of CPU time. Run the cell again after an interruption, and
# it resumes; after a change of the config, give it another folder.

# %%
result = experiment.run(config, workdir)

# %% [markdown]
# The run has drawn its figures: training over time by stage, and how the weights leave
# the thresholds as the temperature rises.

# %%
support.show(workdir / "figures")

# %% [markdown]
# `metrics.jsonl` holds every report of the run. The gap between soft and hard
# quantizers closes:

# %%
lines = (workdir / "metrics.jsonl").read_text().splitlines()
reports = [row for row in map(json.loads, lines) if row["stage"] == "weights"]
rows = [row for row in reports if row["split"] == "val"]
gaps = {"soft - hard accuracy": ([r["step"] for r in rows], [r["gap"] for r in rows])}
path = pictures / "gap.png"
support.show(curves.draw_curves(gaps, path, xlabel="step", ylabel="gap"))

# %% [markdown]
# Packed, a weight is two bits. `experiment.run(config, workdir, "export")` writes the
# codes, and a StableHLO program that takes any batch size.

# %% [markdown]
# ## Your own network and images
#
# Quantization of weights is a function from a parameter tree to a parameter tree,
# chosen by path. So any network here is quantized by the config of its method alone:
#
# ```python
# config.quantize.weights = (
#   {"at": "conv1/.*|logits/.*", "quantizer": "none"},
#   {"at": ".*/kernel", "levels": "w2"},
# )
# config.quantize.activations = ({"at": "relu[12]", "levels": "a2"},)
# ```
#
# ```python
# config = get_config("w1")  # binary; with "a2" joined, activations too: "w1,a2"
# config.data.name = "folder:PATH"  # PATH/train/<class>/*.png and PATH/test/...
# config.data.name = "npz:FILE"  # x_train, y_train, x_test, y_test
# config.data.name = "cifar10"  # any classification set of TFDS
# config.init_from, config.pretrain = "FILE.safetensors", False  # weights of yours
# experiment.run(config, "runs/mine")
# ```
#
# Level sets, baselines in the same slot and networks:
# [docs/methods/quantization_networks.md](../../docs/methods/quantization_networks.md).
