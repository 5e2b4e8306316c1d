# %% [markdown]
# # Compose the methods
#
# The methods of jaxvision are made of pure functions, so they combine without new code:
#
# - *quantized weights* are a function from a parameter tree to a parameter tree;
# - *feature transforms* (dropout, patch reordering, random warps, quantizers of
#   activations) go behind any named place of any network;
# - *distillation* takes any two networks, and *attacks* any classifier of images.
#
# What goes where is said by patterns of paths, in the config. Here a skeleton network
# is made ternary; then a student is distilled whose weights are ternary and whose
# feature maps are reordered; it is attacked, and exported to one file.

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

from configs import iekd, stigcn
from jaxvision import experiment, models
from jaxvision.data.images import load_images
from jaxvision.interop import export
from jaxvision.layers import insertion
from jaxvision.ops import trees
from jaxvision.ops.tree_quantization import init_tree, make_rules, quantize_tree

skeleton_config, config = stigcn.get_config(), iekd.get_config("at")
if support.FAST:  # tiny, to test this notebook
  skeleton_config.update_from_flattened_dict({
    "data.generated.train": 16, "data.generated.val": 4, "data.generated.test": 2,
    "model.widths": (4, 4), "batch_size": 8, "eval.batch_size": 2,
  })  # fmt: skip
  config.update_from_flattened_dict({
    "data.name": "digits", "data.limit": 80, "data.validation": 40.0,
    "teacher.limit": 80, "teacher.epochs": 0.5, "teacher.model.widths": (2, 6),
    "teacher.model.dense_width": 8, "model.widths": (2, 4), "model.dense_width": 8,
    "model.norm": "none", "teacher.model.norm": "none",
    "quantize.options.method": "linear", "epochs": 0.5, "batch_size": 20,
    "metric.examples": 20, "metric.noise": (0.1,), "metric.draws": 1, "per_dispatch": 1,
    "log.every": 1, "eval.every": 0, "eval.batch_size": 40, "attack.examples": 20,
  })  # fmt: skip
support.fit_devices(skeleton_config)
support.fit_devices(config)
workdir = support.folder("compose")
pictures = workdir / "pictures"

# %% [markdown]
# ## Places
#
# A place is the output of a named module, or of a `Tap`, which only gives a name.
# Patterns are matched against whole paths; one that matches nothing is an error that
# lists them.

# %%
data = load_images(config.data)
images = jnp.asarray(data.splits["test"][np.arange(8)]["image"], jnp.float32) / 255
net = models.build({**config.model, "classes": len(data.classes)})
print(insertion.places(net, images))

# %% [markdown]
# ## Weights: from a tree to a tree
#
# Rules pick parameters by path, the first match decides. Here convolutions get three
# levels, the last layer stays as it is. A training step does just this, softly
# and with a temperature; the network itself is not changed.

# %%
fields = dict(quantizer="quantization_networks", levels="w2", method="linear")
rules = make_rules(
  [{"at": "logits/.*", "quantizer": "none"}, {"at": ".*/kernel", **fields}]
)
params = jax.jit(net.init)(jax.random.key(0), images)["params"]
ternary = quantize_tree(params, rules, init_tree(params, rules), hard=True)
for path, before, after in zip(
  trees.paths(params), *map(jax.tree.leaves, (params, ternary)), strict=True
):
  print(f"{path:16} {len(np.unique(before)):6} different values, then", end=" ")
  print(len(np.unique(after)))

# %% [markdown]
# ## Ternary STIGCN with Gaussian dropout
#
# Two overrides of its config. The mode "plan" compiles at full scale without data and
# lists parameters, memory and what is inserted where. `experiment.run(skeleton_config,
# FOLDER)` would train it.

# %%
skeleton_config.quantize.weights = (
  {"at": "(stem|logits)/.*", "quantizer": "none"},
  {"at": ".*/kernel", "levels": "w2"},
)
skeleton_config.insert = (
  {"at": ".*/relu", "kind": "continuous_dropout", "mask": "gaussian"},
)
plan = experiment.run(skeleton_config, None, "plan")

# %% [markdown]
# ## A quantized student whose maps are reordered
#
# The variant `at` of IE-KD's config trains a teacher, and a student by attention
# transfer. The student's weights become ternary and its second pooled map is reordered;
# the teacher stays as it is.

# %%
config.quantize.weights = (
  {"at": "(conv1|logits)/.*", "quantizer": "none"},
  {"at": ".*/kernel", "levels": "w2"},
)
config.insert = ({"at": "pool2", "kind": "patch_reorder", "n": 2},)
result = experiment.run(config, workdir)
support.show(workdir / "figures")

# %% [markdown]
# ## Attack it
#
# Like any classifier of images; `autoattack`, `apgd`, `square` and others have names,
# too.

# %%
config.attack.name = "fgsm"
config.attack.eps = 0.1
config.attack.curve = ""  # or pgd: accuracy against the radius, too
attacked = experiment.run(config, workdir, "eval")
support.show(*sorted((workdir / "figures").glob("adversarial*.png")))

# %% [markdown]
# ## Export it
#
# One StableHLO file for CPU, GPU and TPU and any batch size, which needs no code of the
# model; and the packed codes of the weights.

# %%
exported = experiment.run(config, workdir, "export")
call = export.read(workdir / "export")
pixels = data.splits["test"][np.arange(8)]["image"]
for count in (3, 8):
  print({name: x.shape for name, x in call(pixels[:count]).items()})

# %% [markdown]
# ## Your own combination
#
# All methods share the fields `insert`, `quantize`, `init_from`, `ema`, `mesh`,
# `attack`. On the command line:
#
# ```bash
# python experiments/main.py --config=configs/continuous_dropout.py:cnn --mode=plan \
#   --config.insert="({'at': 'pool1', 'kind': 'patch_reorder', 'n': 2},)"
# ```
#
# Your own images are `config.data.name = "folder:PATH"`, `"npz:FILE"` or any
# classification set of TFDS. A method of your own is four small files:
# [docs/adding_a_method.md](../../docs/adding_a_method.md).
