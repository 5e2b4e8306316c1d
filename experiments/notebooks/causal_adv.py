# %% [markdown]
# # CausalAdv: adversarial training that aligns style
#
# Zhang, Gong, Liu, Niu, Tian, Han, Schölkopf, Zhang: *CausalAdv: Adversarial Robustness
# through the Lens of Causality*, ICLR 2022. What is measured, and what is not known of
# the paper, is in [docs/methods/causal_adv.md](../../docs/methods/causal_adv.md).
#
# Adversarial images are said to fool a network through style: what goes with a label in
# the data without being its cause. With features $f$ of covariance $\Sigma$ and class
# weights $W$, style is
#
# $$s = B\, \frac{f}{\lVert f \rVert}, \qquad B\, \Sigma\, W = 0 ,$$
#
# what of a feature does not go with the logits. A second head learns the label from
# style. The inner attack makes both heads disagree with their clean answers, and
# training makes the second head say the same of natural and of adversarial style.

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

from configs.causal_adv import get_config
from jaxvision import experiment
from jaxvision.attacks import pgd
from jaxvision.data.images import load_images
from jaxvision.ops import style
from jaxvision.viz import figures
from jaxvision.viz.adversarial import draw_adversarial

config = get_config()
if support.FAST:  # tiny, to test this notebook
  config.update_from_flattened_dict({
    "data.name": "digits", "data.size": 0, "data.limit": 100, "data.validation": 40.0,
    "model.widths": (2,), "model.dense_width": 8, "model.norm": "none",
    "adversarial.steps": 2, "robust.steps": 2, "robust.examples": 20, "batch_size": 20,
    "epochs": 0.8, "per_dispatch": 1, "log.figures": False, "log.every": 2,
    "eval.every": 0, "eval.batch_size": 20,
  })  # fmt: skip
support.fit_devices(config)
workdir = support.folder("causal_adv")
pictures = workdir / "pictures"

# %% [markdown]
# ## An attack
#
# Attacks take any function from images to logits. The simplest classifier compares an
# image with the mean of each class; PGD changes each pixel by at most `eps`.

# %%
data = load_images(config.data)
train = data.splits["train"][np.arange(len(data.splits["train"]))]
image = jnp.asarray(train["image"], jnp.float32) / 255
label = jnp.asarray(train["label"])
share = jax.nn.one_hot(label, len(data.classes), axis=0)
share /= share.sum(1, keepdims=True)
means = jnp.tensordot(share, image, 1)


def nearest_mean(x):
  """Minus half the squared distance to each mean, up to what all classes share."""
  return jnp.tensordot(x, means, ((1, 2, 3), (1, 2, 3))) - (means**2).sum((1, 2, 3)) / 2


x, y = image[:6], label[:6]
x_adv = pgd(jax.random.key(0), nearest_mean, x, y, eps=0.1, step_size=0.025, steps=10)
before, after = (nearest_mean(images).argmax(-1) for images in (x, x_adv))
path = pictures / "attack.png"
support.show(draw_adversarial(x, x_adv, before, after, path, classes=data.classes))

# %% [markdown]
# ## A basis of style
#
# From a random orthonormal anchor the directions $\Sigma W$ of the class weights are
# taken out. The authors' way goes class by class, so it is exact in the last class
# only; "exact" projects on all of them at once. The map shows $\lvert B\, \Sigma\, W
# \rvert$.

# %%
features = style.unit_features(image.reshape(len(image), -1)[:, ::3] + 1e-3)
covariance, size = jnp.cov(features.T), features.shape[1]
weights = jax.random.normal(jax.random.key(1), (size, len(data.classes)))
anchor = style.make_anchor(jax.random.key(2), size)
figure, axes = figures.grid(1, 3, (2.8, 3.0))
limit = float(jnp.abs(anchor @ covariance @ weights).max())
for panel, kind in zip(axes[0], ("random", "sequential", "exact"), strict=True):
  basis = style.style_basis(anchor, weights, covariance, kind=kind)
  seen = jnp.abs(basis @ covariance @ weights)
  panel.imshow(seen, vmin=0, vmax=limit, cmap="Blues", aspect="auto")
  figures.bare(panel, title=f"{kind}: at most {seen.max():.1e}")
  panel.set_xlabel("class")
axes[0, 0].set_ylabel("vector of the basis")
support.show(figures.save(figure, pictures / "basis.png"))

# %% [markdown]
# ## Training
#
# The default is CausalAdv on top of Madry's adversarial training, on Fashion-MNIST at
# 14x14 pixels, if that is found or can be downloaded, otherwise on the 8x8 digits. Each
# step attacks its batch seven times over, so this takes longer than plain training. Run
# the cell again after an interruption, and it resumes; after a change of the config,
# give it another folder.

# %%
result = experiment.run(config, workdir)

# %% [markdown]
# Clean and robust accuracy, the style gap (how much worse the head predicts labels from
# adversarial than from natural style), and the figures of the run.

# %%
names = ("accuracy", "robust/pgd20", "robust/adaptive", "style/gap")
print({k: round(v, 3) for k, v in result["metrics"].items() if k in names})
support.show(workdir / "figures")

# %% [markdown]
# ## Attack it
#
# The mode "eval" attacks what was trained, this or any other classifier of images:
# `fgsm`, `pgd`, `apgd`, `fab`, `square`, `autoattack`, or several of them.

# %%
config.attack.name = "fgsm"
config.attack.examples = 20 if support.FAST else 1000
config.attack.curve = ""  # or pgd: accuracy against the radius, too
attacked = experiment.run(config, workdir, "eval")
support.show(*sorted((workdir / "figures").glob("adversarial*.png")))

# %% [markdown]
# ## Your own images, your own classifier
#
# ```python
# config = get_config()  # or "t", TRADES; "madry", "trades", "mart": the baselines
# config.data.name = "folder:PATH"  # PATH/train/<class>/*.png and PATH/test/...
# config.data.name = "npz:FILE"  # x_train, y_train, x_test, y_test
# config.data.name = "cifar10"  # any classification set of TFDS
# config.data.size = 32
# experiment.run(config, "runs/mine")
# ```
#
# A function of yours, from images in [0, 1] to logits, is attacked as above, by
# `jaxvision.attacks.auto_attack(key, logits_fn, x, y, eps=8 / 255)`. Departures from
# the paper: [docs/methods/causal_adv.md](../../docs/methods/causal_adv.md).
