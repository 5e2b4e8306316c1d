# %% [markdown]
# # Patch Reordering: wherever it is, it comes first
#
# Shen, Tian, Sun, Tao: *Patch Reordering: A Novel Way to Achieve Rotation and
# Translation Invariance in Convolutional Neural Networks*, AAAI 2017. Measured numbers
# and claims are in
# [docs/methods/patch_reordering.md](../../docs/methods/patch_reordering.md).
#
# A feature map is cut into $n \times n$ patches $P_1, P_2, \ldots$, and these are
# sorted by energy,
#
# $$E(P) = \sum_{(i, j) \in P} x_{ij}^2, \qquad
# E(P_{\pi(1)}) \ge E(P_{\pi(2)}) \ge \ldots,$$
#
# and over several levels so are the patches inside each patch. There are no parameters;
# the gradient goes back by the inverse permutation.

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

from configs.patch_reordering import get_config
from jaxvision import experiment
from jaxvision.data.images import load_images
from jaxvision.ops.patches import patch_reorder
from jaxvision.viz.patches import draw_reordering

config = get_config()
if support.FAST:  # tiny, to test this notebook
  config.update_from_flattened_dict({
    "data.name": "digits", "data.limit": 100, "data.validation": 40.0,
    "model.widths": (2, 4), "model.dense_width": 8, "retrieval.source": "",
    "robustness.examples": 20, "robustness.angles": (0, 90),
    "robustness.shifts": (0, 2), "batch_size": 20, "epochs": 0.8, "per_dispatch": 1,
    "log.figures": False, "log.every": 2, "eval.every": 0, "eval.batch_size": 40,
  })  # fmt: skip
support.fit_devices(config)
workdir = support.folder("patch_reordering")
pictures = workdir / "pictures"

# %% [markdown]
# ## One image in four places
#
# Every piece is a pure function of arrays. Four channels of one map hold the same image
# in the four quadrants (above). Reordered with $n = 2$, each channel by itself, they
# are all alike (below).

# %%
data = load_images(config.data)
pixels = data.splits["train"][np.arange(1)]["image"][0, ..., 0]
image = jnp.asarray(pixels, jnp.float32) / 255
h, w = image.shape


def in_quadrants(image):
  """Four maps of twice the size, the image in another quadrant of each."""
  places = [(i * h, j * w) for i in (0, 1) for j in (0, 1)]
  maps = [jnp.pad(image, ((y, h - y), (x, w - x))) for y, x in places]
  return jnp.stack(maps, axis=-1)


reorder = jax.jit(patch_reorder, static_argnames=("n", "levels"))
before = in_quadrants(image)
after = reorder(before[None], n=2)[0]
support.show(draw_reordering(before, after, pictures / "quadrants.png"))

# %% [markdown]
# ## Quarter turns
#
# With as many levels as there are halvings, blocks are single pixels, and the result is
# the same for quarter turns and flips of the map, exactly. What it is not invariant to
# is a shift by one pixel (last channel): that is no move of whole blocks.

# %%
square = jax.image.resize(image, (16, 16), "linear")
turned = [jnp.rot90(square, k) for k in range(4)]
before = jnp.stack([*turned, square[::-1], jnp.roll(square, 1, axis=1)], axis=-1)
after = reorder(before[None], n=2, levels=4)[0]
for name, k in {"quarter turn": 1, "flip": 4, "shift": 5}.items():
  difference = jnp.abs(after[..., k] - after[..., 0]).max()
  print(f"{name}: largest difference {difference:.3f}")
support.show(draw_reordering(before, after, pictures / "turns.png", levels=4))

# %% [markdown]
# The gradient goes back by the inverse permutation: that of the first place in the
# order is 1 wherever the image was.

# %%
first = lambda maps: reorder(maps[None], n=2)[0, :h, :w].sum()
gradient = jax.grad(first)(in_quadrants(image))
print(bool((gradient == in_quadrants(jnp.ones_like(image))).all()))

# %% [markdown]
# ## Training
#
# The default trains a small CNN, reordered behind its second pooling, on garments in
# the top left quadrant, and tests it on the other three. It takes Fashion-MNIST, if
# that is found or can be downloaded, otherwise the 8x8 digits. Run the cell again after
# an interruption, and it resumes; after a change of the config, give it another folder.

# %%
result = experiment.run(config, workdir)

# %% [markdown]
# Errors on the seen and the unseen quadrants, and the figures of the run: training over
# time, accuracy against angle and shift, feature maps before and after, ranked lists.

# %%
print({k: round(v, 3) for k, v in result["metrics"].items() if k.endswith("error")})
support.show(workdir / "figures")

# %% [markdown]
# The plain CNN is `get_config("cnn")`, trained in a folder of its own; it does not find
# the other quadrants. Where reordering helps and where it harms is measured over five
# seeds in [docs/claims/patch_reordering.md](../../docs/claims/patch_reordering.md).

# %% [markdown]
# ## Your own images
#
# ```python
# config = get_config()
# config.data.name = "folder:PATH"  # PATH/train/<class>/*.png and PATH/test/...
# config.data.name = "npz:FILE"  # x_train, y_train, x_test, y_test
# config.data.name = "cifar10"  # any classification set of TFDS
# config.data.distort.task = ""  # images as they are, not in quadrants
# config.data.distort.test = ()
# experiment.run(config, "runs/mine")
# ```
#
# In another method's network it is an entry of the config: `config.insert = ({"at":
# "stage3", "kind": "patch_reorder", "n": 2},)`. Variants and departures:
# [docs/methods/patch_reordering.md](../../docs/methods/patch_reordering.md).
