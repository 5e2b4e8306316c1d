# %% [markdown]
# # TICNN: random warps inside the network
#
# Shen, Tian, He, Sun, Tao: *Transform-Invariant Convolutional Neural Networks for Image
# Classification and Search*, ACM Multimedia 2016. Measured numbers and claims are in
# [docs/methods/ticnn.md](../../docs/methods/ticnn.md).
#
# In training, feature maps $x$ inside the network are turned, scaled and shifted at
# random,
#
# $$y(p) = x\big(\tfrac{1}{s} R_\theta^{-1} (p - t)\big), \qquad
# \theta \sim U(-a, a),\; s \sim U(s_0, s_1),\; t \sim U(-r, r)^2,$$
#
# about the centre of the map, one draw a batch; at inference nothing is done. As
# dropout does for single units, this keeps filters from relying on one pose of what
# they see.

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

from configs.ticnn import get_config
from jaxvision import experiment
from jaxvision.data.images import load_images
from jaxvision.ops.warp import WarpSpec, affine_warp, random_transform
from jaxvision.viz.warps import draw_warps

config = get_config()
if support.FAST:  # tiny, to test this notebook
  config.update_from_flattened_dict({
    "data.name": "digits", "data.limit": 100, "data.validation": 40.0,
    "data.distort.test": ("rst",), "model.widths": (2, 4), "model.dense_width": 8,
    "retrieval.source": "", "robustness.examples": 20, "robustness.angles": (0, 90),
    "robustness.shifts": (0, 2), "batch_size": 20, "epochs": 0.8, "per_dispatch": 1,
    "log.figures": False, "log.every": 2, "eval.every": 0, "eval.batch_size": 40,
  })  # fmt: skip
support.fit_devices(config)
workdir = support.folder("ticnn")
pictures = workdir / "pictures"

# %% [markdown]
# ## Warps
#
# Every piece is a pure function of arrays and keys. A warp takes scalars, or one value
# an image: degrees counter-clockwise, factors, and pixels (down, right).

# %%
data = load_images(config.data)
pixels = jnp.asarray(data.splits["train"][np.arange(6)]["image"], jnp.float32) / 255
repeated = jnp.repeat(pixels[:1], 6, axis=0)
shift = repeated.shape[1] / 7
warped = jax.jit(affine_warp)(
  repeated,
  angle=jnp.array([0.0, 30.0, -60.0, 0.0, 0.0, 45.0]),
  scale=jnp.array([1.0, 1.0, 1.0, 1.4, 1.0, 0.7]),
  shift=(jnp.array([0.0, 0.0, 0.0, 0.0, shift, 0.0]), 0.0),
)
names = ("as it is", "30 degrees", "-60 degrees", "x 1.4", "down", "45 deg., x .7")
support.show(draw_warps(repeated, warped, pictures / "warps.png", names=names))

# %% [markdown]
# The module of the paper draws the warp. By default a batch shares one draw;
# `alternate` turns, scales or shifts one at a time.

# %%
ranges = dict(angle=(-45, 45), scale=(0.8, 1.2), shift=(0.15, 0.15))
draw = jax.jit(random_transform, static_argnames="spec")
for granularity in ("batch", "sample"):
  spec = WarpSpec(**ranges, granularity=granularity)
  drawn = draw(jax.random.key(1), pixels, spec)
  path = pictures / f"one_draw_a_{granularity}.png"
  support.show(draw_warps(pixels, drawn, path, title=f"one draw a {granularity}"))

# %% [markdown]
# It is linear in the image, so its gradient is the transposed warp; at inference it is
# the identity.

# %%
x, y = pixels, pixels[::-1]
warp = jax.jit(lambda x: affine_warp(x, angle=30.0))
(transposed,) = jax.vjp(warp, x)[1](y)
print("<warp x, y> =", (warp(x) * y).sum())
print("<x, transposed y> =", (x * transposed).sum())
same = random_transform(None, x, spec, deterministic=True)
print("unchanged at inference:", bool((same == x).all()))

# %% [markdown]
# ## Training
#
# The default trains a small CNN with warps behind both activations on upright, centred
# garments, and tests it on moved, turned and scaled ones. It takes Fashion-MNIST, if
# that is found or can be downloaded, otherwise the 8x8 digits. Run the cell again after
# an interruption, and it resumes; after a change of the config, give it another folder.

# %%
result = experiment.run(config, workdir)

# %% [markdown]
# Errors by pose, and the figures of the run: training over time, accuracy against angle
# and shift, warped maps, ranked lists.

# %%
print({k: round(v, 3) for k, v in result["metrics"].items() if k.endswith("error")})
support.show(workdir / "figures")

# %% [markdown]
# The plain CNN is `get_config("cnn")`, warps of the input alone are
# `get_config("input")`; each needs a folder of its own. What of the paper's claims
# shows over five seeds is in [docs/claims/ticnn.md](../../docs/claims/ticnn.md).

# %% [markdown]
# ## Your own images
#
# ```python
# config = get_config()
# config.data.name = "folder:PATH"  # PATH/train/<class>/*.png and PATH/test/...
# config.data.name = "npz:FILE"  # x_train, y_train, x_test, y_test
# config.data.name = "cifar10"  # any classification set of TFDS
# config.data.distort.task = ""  # images as they are; or keep it, to test on poses
# config.data.distort.test = ()
# experiment.run(config, "runs/mine")
# ```
#
# In another method's network it is an entry of the config:
# `config.insert = ({"at": "relu1", "kind": "random_transform", "angle": (-30, 30)},)`.
# Retrieval on folders, variants and departures:
# [docs/methods/ticnn.md](../../docs/methods/ticnn.md).
