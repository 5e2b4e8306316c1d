# %% [markdown]
# # IE-KD: half of the student inherits, the other half explores
#
# Huang, Shen, Xing, Liu, Tian, Li, Deng, Huang, Hua: *Revisiting Knowledge
# Distillation: An Inheritance and Exploration Framework*, CVPR 2021. Measured numbers
# and claims are in [docs/methods/iekd.md](../../docs/methods/iekd.md).
#
# A student that only imitates its teacher copies its blind spots. An auto-encoder
# condenses the teacher's feature map into a factor $F_T$. One half of the student's
# channels, $F_{inh}$, is pulled towards it, the other half, $F_{exp}$, is pushed away:
#
# $$L = L_{task} + \lambda\, D(F_{inh}, F_T) - \mu\, D(F_{exp}, F_T), \qquad
# D(a, b) = \Big\lVert \frac{a}{\lVert a \rVert} - \frac{b}{\lVert b \rVert}
# \Big\rVert_1 .$$
#
# The task's loss keeps both halves useful. What training needs beside the student is
# thrown away at the end.

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
import optax

from configs.iekd import get_config
from jaxvision import experiment
from jaxvision.losses import distillation
from jaxvision.viz import figures

config = get_config()
if support.FAST:  # tiny, to test this notebook
  config.update_from_flattened_dict({
    "data.name": "digits", "data.limit": 80, "data.validation": 40.0,
    "teacher.limit": 80, "teacher.epochs": 0.5, "teacher.model.widths": (2, 6),
    "teacher.model.dense_width": 8, "coder.width": 4, "coder.epochs": 0.5,
    "model.widths": (2, 4), "model.dense_width": 8, "model.norm": "none",
    "teacher.model.norm": "none", "epochs": 0.5, "batch_size": 20,
    "metric.examples": 20, "metric.noise": (0.1,), "metric.draws": 1, "per_dispatch": 1,
    "log.figures": False, "log.every": 1, "eval.every": 0, "eval.batch_size": 40,
  })  # fmt: skip
support.fit_devices(config)
workdir = support.folder("iekd")
pictures = workdir / "pictures"

# %% [markdown]
# ## Distances of factors
#
# Every piece is a pure function of arrays. A factor is scaled to length 1, so in two
# dimensions only its direction counts. The paper's choice is L1; the authors' cosine
# form explores by orthogonality, not by opposition.

# %%
angle = jnp.linspace(0, jnp.pi, 181)
direction = lambda angle: jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)
teacher = jnp.broadcast_to(direction(jnp.pi / 6), (181, 2))
student = direction(angle + jnp.pi / 6)
figure, axes = figures.grid(1, 2, (4.2, 3.0))
for panel, side in zip(axes[0], ("inherit", "explore"), strict=True):
  handles = {}
  for name in ("l1", "l2_sum", "cosine"):
    loss = getattr(distillation.DISTANCES[name], side)(student, teacher)
    (handles[name],) = panel.plot(jnp.degrees(angle), loss)
  figures.dress(panel, title=side, xlabel="degrees from the teacher", ylabel="loss")
figures.legend(figure, handles)
support.show(figures.save(figure, pictures / "distances.png"))

# %% [markdown]
# ## Pulled and pushed
#
# Gradient descent on the loss alone, with the distance L2: forty factors of either half
# start on a circle. Those that inherit end at the teacher's direction, those that
# explore opposite to it. In a network, $L_{task}$ keeps them from going all the way.

# %%
start = direction(jnp.linspace(0, 2 * jnp.pi, 40, endpoint=False))
teacher = jnp.broadcast_to(direction(jnp.pi / 6), start.shape)


def total(halves):
  """The loss of all forty pairs."""
  fields = dict(inherit_weight=1.0, explore_weight=1.0, distance="l2_sum")
  return distillation.inheritance_exploration(*halves, teacher, **fields).sum()


def descend(halves, _):
  """One step down."""
  halves = optax.apply_updates(halves, jax.tree.map(lambda g: -0.05 * g, slope(halves)))
  return halves, halves


slope = jax.grad(total)
_, (inherited, explored) = jax.lax.scan(descend, (start, start), length=250)
figure, axes = figures.grid(1, 2, (3.4, 3.4))
for panel, path, title in zip(
  axes[0], (inherited, explored), ("inherit", "explore"), strict=True
):
  panel.plot(path[:, :, 0], path[:, :, 1], color=figures.PALETTE[5], linewidth=0.8)
  panel.plot(path[-1, :, 0], path[-1, :, 1], ".", color=figures.PALETTE[0])
  panel.plot(*(1.3 * teacher[0]), "*", color=figures.PALETTE[1], markersize=12)
  panel.set_aspect("equal")
  figures.dress(panel, title=f"{title}; * is the teacher")
support.show(figures.save(figure, pictures / "halves.png"))

# %% [markdown]
# ## Training
#
# Three stages, `teacher`, `autoencoder` and `student`, on Fashion-MNIST, if that is
# found or can be downloaded, otherwise on the 8x8 digits. They took 111 seconds of CPU
# time. A run that is stopped resumes inside any of them; after a change of the config,
# give it another folder.

# %%
result = experiment.run(config, workdir)

# %% [markdown]
# The figures of the run: each stage over time, how alike the halves and the teacher are
# (linear CKA), and what each of them sees of an image.

# %%
support.show(workdir / "figures")

# %% [markdown]
# How far the factors of the halves are from the teacher's on test images:

# %%
found = result["metrics"]
print({k: round(v, 4) for k, v in found.items() if "distance" in k or "cka" in k})

# %% [markdown]
# ## Your own networks and images
#
# Any two networks, at any places; the teacher may come from a file:
#
# ```python
# config = get_config()
# config.teacher.init_from = "FILE.safetensors"
# config.distill.taps = ("pool2",)  # places of the student, and of the teacher:
# config.distill.teacher_taps = ("pool2",)
# config.data.name = "folder:PATH"  # PATH/train/<class>/*.png and PATH/test/...
# config.data.name = "npz:FILE"  # x_train, y_train, x_test, y_test
# config.data.name = "cifar10"  # any classification set of TFDS
# experiment.run(config, "runs/mine")
# ```
#
# Baselines are variants: `get_config("kd")`, `"at"`, `"fitnet"`, `"plain"`. Tasks other
# than classification use the same stages with a loss of your own:
# [docs/methods/iekd.md](../../docs/methods/iekd.md).
