# %% [markdown]
# # Continuous Dropout: masks that are not 0 or 1
#
# Shen, Tian, Liu, Xu, Tao: *Continuous Dropout*, IEEE TNNLS 2018. Measured numbers and
# claims are in
# [docs/methods/continuous_dropout.md](../../docs/methods/continuous_dropout.md).
#
# Dropout multiplies a hidden unit $x$ by a random 0 or 1. Continuous dropout takes a
# uniform or a clipped Gaussian variable instead,
#
# $$y = \frac{m}{\mathbb{E}\,m}\, x, \qquad m \sim U(0, 1) \;\text{ or }\;
# m = \min(\max(g, 0), 1),\; g \sim N(\mu, \sigma^2).$$
#
# A linear unit under squared loss sees of a mask only its noise strength $\rho =
# \operatorname{Var} m / (\mathbb{E}\,m)^2$. So masks are to be compared at equal
# $\rho$, or "continuous" is mixed up with "weaker".

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

from configs.continuous_dropout import get_config
from jaxvision import experiment
from jaxvision.data.images import load_images
from jaxvision.ops import masks
from jaxvision.viz import figures
from jaxvision.viz.masks import draw_masks

config = get_config()
if support.FAST:  # tiny, to test this notebook
  config.update_from_flattened_dict({
    "data.name": "digits", "data.limit": 100, "data.validation": 40.0,
    "model.hidden": (8, 8), "dependence.examples": 40, "batch_size": 20, "epochs": 0.8,
    "per_dispatch": 1, "log.every": 2, "eval.every": 0, "eval.batch_size": 40,
  })  # fmt: skip
support.fit_devices(config)
workdir = support.folder("continuous_dropout")
pictures = workdir / "pictures"

# %% [markdown]
# ## Masks
#
# Every piece is a pure function of arrays and keys. Samples against closed forms: a
# clipped Gaussian has a density, and atoms at 0 and 1.

# %%
specs = {
  "Bernoulli(.5)": masks.MaskSpec("bernoulli", rate=0.5),
  "U(0, 1)": masks.MaskSpec("uniform"),
  "N(.5, .25^2), clipped": masks.MaskSpec("gaussian", std=0.25),
  "N(.5, .5^2), clipped": masks.MaskSpec("gaussian", std=0.5),
}
support.show(draw_masks(specs, pictures / "masks.png"))

# %% [markdown]
# Moments are exact, and so is the binary mask that is as noisy as a continuous one.

# %%
for name, spec in specs.items():
  mean, variance = masks.mask_moments(spec)
  rate = masks.matched_bernoulli(spec).rate
  print(f"{name:22} mean {mean:.3f}, variance {variance:.4f}: Bernoulli({rate:.3f})")

# %% [markdown]
# What a mask does to an image, if its pixels are the units: the mean stays.

# %%
data = load_images(config.data)
image = jnp.asarray(data.splits["train"][np.arange(1)]["image"], jnp.float32) / 255
figure, axes = figures.grid(1, 5, (2.0, 2.2))
for k, (panel, (name, spec)) in enumerate(
  zip(axes[0], {"no mask": None, **specs}.items(), strict=True)
):
  key = jax.random.key(k)
  y = image if spec is None else masks.continuous_dropout(key, image, spec)
  panel.imshow(y[0], cmap="gray", vmin=0, vmax=1)
  figures.bare(panel, title=f"{name}\nmean {y.mean():.2f}")
support.show(figures.save(figure, pictures / "images.png"))

# %% [markdown]
# ## Training
#
# The default trains the paper's 784-800-800-10 network with Gaussian masks on
# Fashion-MNIST, if that is found or can be downloaded, otherwise on the 8x8 digits. On
# two CPU cores that takes two minutes. Run the cell again after an interruption, and it
# resumes; after a change of the config, give it another folder.

# %%
result = experiment.run(config, workdir)

# %% [markdown]
# The run has drawn its figures: training and validation over time, first-layer filters,
# the masks that were used, and how much hidden units correlate.

# %%
support.show(workdir / "figures")

# %% [markdown]
# ## Anywhere
#
# A mask goes behind any named place of any network, from the config alone. This is an
# entry of `config.insert` that every method has:
#
# ```python
# config.insert = ({"at": "pool1", "kind": "continuous_dropout", "mask": "uniform"},)
# ```

# %% [markdown]
# ## Your own images
#
# ```python
# config = get_config("cnn")
# config.data.name = "folder:PATH"  # PATH/train/<class>/*.png and PATH/test/...
# config.data.name = "npz:FILE"  # x_train, y_train, x_test, y_test
# config.data.name = "cifar10"  # any classification set of TFDS
# experiment.run(config, "runs/mine")
# experiment.run(config, "runs/mine", "predict", inputs=["IMAGE.png"])
# ```
#
# Other masks are variants, `get_config("uniform")`, `get_config("bernoulli,matched")`;
# all of them, and what of the paper's claims shows, are in
# [docs/methods/continuous_dropout.md](../../docs/methods/continuous_dropout.md).
