# %% [markdown]
# # STIGCN: actions of skeletons
#
# Huang, Shen, Tian, Li, Huang, Hua: *Spatio-Temporal Inception Graph Convolutional
# Networks for Skeleton-Based Action Recognition*, ACM Multimedia 2020. Measured numbers
# are in [docs/methods/stigcn.md](../../docs/methods/stigcn.md).
#
# A clip is an array $x$ of joints over time. Earlier graph networks have one graph and
# one transformation a layer. Here every block splits its input into four graph
# convolutions,
#
# $$y = \sum_{k=1}^{4} \big(A_k + B_k + C_k(x)\big)\, x\, W_k ,$$
#
# with fixed graphs $A_k$ (a joint, its bone, two polynomials of the skeleton's links),
# learned ones $B_k$ and ones computed from the features, $C_k$; and into two
# convolutions over time, of the features and of their motion.

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
import jax.numpy as jnp
import numpy as np

from configs.stigcn import get_config
from jaxvision import experiment
from jaxvision.data.skeletons import load_skeletons
from jaxvision.ops import graphs, skeletons
from jaxvision.viz import figures
from jaxvision.viz.skeleton import draw_poses

config = get_config()
if support.FAST:  # tiny, to test this notebook
  config.update_from_flattened_dict({
    "data.generated.train": 16, "data.generated.val": 4, "data.generated.test": 2,
    "model.widths": (4, 4), "batch_size": 8, "epochs": 1.0, "log.every": 1,
    "eval.every": 0, "eval.batch_size": 2,
  })  # fmt: skip
support.fit_devices(config)
workdir = support.folder("stigcn")
pictures = workdir / "pictures"

# %% [markdown]
# ## Skeletons
#
# The default generates clips of a person on NTU RGB+D's 25 joints. Its class is three
# independent bits; "far", how an arm and the opposite leg swing, shows in no joint
# alone.

# %%
data = load_skeletons(config.data)
parents = graphs.skeleton("ntu").parents
batch = data.splits["train"][np.arange(2)]
for k, (clip, label) in enumerate(zip(batch["skeleton"], batch["label"], strict=True)):
  path = pictures / f"clip{k}.png"
  support.show(draw_poses(clip, path, parents=parents, caption=data.classes[label]))

# %% [markdown]
# ## Four graphs
#
# Every piece is a pure function of arrays. The second graph makes bones of joints, the
# fourth reaches far. The authors' code takes powers of the adjacency by element
# (above), so that the fourth is nearly the mean over all joints; powers of matrices
# (below) weigh joints by how many links away they are.

# %%
adjacency = graphs.spatial_adjacency(graphs.skeleton("ntu"))
figure, axes = figures.grid(2, 4, (2.4, 2.5))
names = ("joint", "bone", "Chebyshev", "high order")
for row, mode in zip(axes, ("elementwise", "matrix"), strict=True):
  stack = graphs.inception_adjacency(adjacency, mode=mode)
  for panel, graph, name in zip(row, stack, names, strict=True):
    limit = jnp.abs(graph).max()
    panel.imshow(graph, cmap=figures.DIVERGING, vmin=-limit, vmax=limit)
    figures.bare(panel, title=f"{name}, {mode}")
support.show(figures.save(figure, pictures / "graphs.png"))

# %% [markdown]
# The four streams of later work are pure functions of a clip, too. Here is the speed of
# right hand and right foot, from the stream "joint_motion".

# %%
moved = skeletons.stream(jnp.asarray(batch["skeleton"]), "joint_motion", parents)
speed = jnp.linalg.norm(moved[:, 0], axis=-1)  # of the first person
figure, axes = figures.grid(1, 2, (4.4, 2.6))
for panel, values, label in zip(axes[0], speed, batch["label"], strict=True):
  handles = {}
  for joint, name in {11: "right hand", 19: "right foot"}.items():
    (handles[name],) = panel.plot(values[:, joint])
  figures.dress(panel, title=data.classes[label], xlabel="frame", ylabel="m a frame")
figures.legend(figure, handles)
support.show(figures.save(figure, pictures / "speed.png"))

# %% [markdown]
# ## Training
#
# The default took 33 seconds of CPU time. Run the cell again after an
# interruption, and it resumes; after a change of the config, give it another folder.

# %%
result = experiment.run(config, workdir)

# %% [markdown]
# The figures of the run: training over time, and test clips. The more a joint speaks
# for the class that is predicted (gradient x input), the stronger its colour.

# %%
support.show(workdir / "figures")

# %% [markdown]
# ## Your own recordings
#
# NTU's `.skeleton` files, whose names say class, camera and performer, or the folders
# and label files of Kinetics-Skeleton are converted once:
#
# ```bash
# python -m jaxvision.data.skeleton_convert --source=SOURCE --target=FOLDER
# ```
#
# ```python
# config = get_config("ntu60_xsub")  # the authors' network and recipe
# config.data.folder = "FOLDER"
# experiment.run(config, "runs/mine")
# experiment.run(config, "runs/mine", "predict", inputs=["FILE.skeleton"])
# ```
#
# Streams and how to fuse them, baselines, ablations, ternary weights:
# [docs/methods/stigcn.md](../../docs/methods/stigcn.md).
