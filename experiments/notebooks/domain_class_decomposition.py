# %% [markdown]
# # Domain-class correlation decomposition: person Re-ID that generalizes
#
# Yang, Tian: *Domain-Class Correlation Decomposition for Generalizable Person
# Re-Identification*, 2021, arXiv 2106.15206. Of the paper only the abstract could be
# read; what follows from it and what is ours is in
# [the page of the method](../../docs/methods/domain_class_decomposition.md).
#
# Re-identification is trained on several data sets and used on unseen ones. Each person
# is filmed in one data set only, so a feature that hides the domain hides part of the
# person as well. The remedy is an intervention: features $z$ of domain $d$ are moved to
# a domain $d^*$ that is drawn without regard to the person, by moments that a bank
# keeps,
#
# $$z^* = \mu_{d^*} + \sigma_{d^*} \frac{z - \mu_d}{\sigma_d}, \qquad
# d^* \sim U\{1, \ldots, D\},$$
#
# and losses see $z^*$, the person, and $d^*$.

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

from configs.domain_class_decomposition import get_config
from jaxvision import experiment
from jaxvision.data.reid import load_reid
from jaxvision.ops import statistics
from jaxvision.viz import figures

config = get_config()
if support.FAST:  # tiny, to test this notebook
  config.update_from_flattened_dict({
    "data.drawn.identities": 4, "data.drawn.images": 4, "data.drawn.targets": 1,
    "data.drawn.target_identities": 12, "batch.identities": 2, "batch.images": 2,
    "model.widths": (4,), "model.dense_width": 6, "epochs": 2.0, "per_dispatch": 1,
    "log.figures": False, "log.every": 1, "eval.every": 0, "eval.batch_size": 20,
  })  # fmt: skip
workdir = support.folder("domain_class_decomposition")
pictures = workdir / "pictures"

# %% [markdown]
# ## People and domains
#
# The default renders figures of people. A domain (a row) has its own light, colours and
# background, and its people like certain colours: that is the correlation in question.

# %%
data = load_reid(config.data)
train = data.splits["train"]
figure, axes = figures.grid(len(data.domains), 8, (0.8, 1.5))
for domain, row in enumerate(axes):
  rows = np.flatnonzero(train.domain == domain)
  chosen = rows[np.linspace(0, len(rows) - 1, 8).astype(int)]
  for panel, image in zip(row, train.input[chosen], strict=True):
    panel.imshow(image)
    figures.bare(panel)
support.show(figures.save(figure, pictures / "people.png"))

# %% [markdown]
# ## Moving features
#
# Every piece is a pure function of arrays. Two clouds in two dimensions; the blue one
# is moved to the domain of the orange one, in four ways: means, standard deviations of
# each number, covariances by whitening and colouring, and optimal transport between
# Gaussians.

# %%
count = 200
noise = jax.random.normal(jax.random.key(0), (2, count, 2))
mixing = jnp.array([[[1.0, 0.6], [0.0, 0.5]], [[0.4, 0.0], [-0.6, 1.2]]])
offset = jnp.array([[-2.0, 0.0], [2.5, 1.0]])
z = (jnp.einsum("kni,kij->knj", noise, mixing) + offset[:, None]).reshape(-1, 2)
domain = jnp.repeat(jnp.arange(2), count)
empty = statistics.MomentBank.zeros(2, 2, full=True)
bank = statistics.update_bank(empty, z, domain)
target = jnp.ones_like(domain)
figure, axes = figures.grid(1, 4, (3.0, 3.0))
for panel, kind in zip(axes[0], ("mean", "diag", "full", "ot"), strict=True):
  moved = statistics.transport(z, domain, target, bank, kind=kind)
  clouds, handles = {"z": z[:count], "target": z[count:], "z*": moved[:count]}, {}
  for name, points in clouds.items():
    (handles[name],) = panel.plot(points[:, 0], points[:, 1], ".", markersize=3)
  across, up = jnp.stack([z[:8], moved[:8]]).transpose(2, 0, 1)
  panel.plot(across, up, color=figures.MUTED, linewidth=0.8)
  figures.dress(panel, title=kind)
figures.legend(figure, handles)
support.show(figures.save(figure, pictures / "transport.png"))

# %% [markdown]
# Whichever domain features come from, once moved their first two moments are those of
# the domain that was drawn, so they tell nothing of their own one.

# %%
(drawn,) = statistics.draw_domains(jax.random.key(1), domain, 2)
moved = statistics.transport(z, domain, drawn, bank, kind="ot")
for d in range(2):
  own, where = moved[(domain == d) & (drawn == 1)], z[domain == 1]
  print(f"domain {d} at domain 1: mean {own.mean(0)}, it is {where.mean(0)}")

# %% [markdown]
# ## Training
#
# The default trains on four rendered domains and searches in three unseen ones; the
# same with vectors instead of images is quicker, `get_config("vectors")`. Run the cell
# again after an interruption, and it resumes; after a change of the config, give it
# another folder.

# %%
result = experiment.run(config, workdir)

# %% [markdown]
# The figures of the run: training over time, and ranked lists of unseen domains, right
# results in green. Metrics are means over the unseen domains; probes tell what features
# still say of the domain.

# %%
support.show(workdir / "figures")

# %% [markdown]
# ## Your own people
#
# ```python
# config = get_config()
# config.data.name, config.data.folder = "folders", "PATH"
# config.data.sources = ("market1501", "mine")  # to train on
# config.data.targets = ("viper",)  # to search in
# config.data.height, config.data.width = 128, 64
# experiment.run(config, "runs/mine")
# ```
#
# A name that is not known is a folder of `<identity>_<camera>_*.jpg`. The mode
# "predict" searches a folder: set `config.retrieval.gallery` and give `inputs`. Layouts
# of the known data sets and all arms are in
# [the page of the method](../../docs/methods/domain_class_decomposition.md).
