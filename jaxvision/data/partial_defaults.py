"""Config fields of partially supervised temporal data, beside `temporal_defaults`.

Imports nothing, so that a config may.
"""

OWN_FILES = {  # as in `temporal_defaults`, where their meaning is explained
  "features": "",
  "annotations": "",
  "step": 0.0,
  "first": -1.0,
  "layout": "auto",
  "prefix": "",
  "key": "",
}
PARTIAL = {
  # Untrimmed videos of target classes; without annotations they are those of the source
  # videos, whose classes are then split. Its names of subsets are as of the source; a
  # window of "" is as the source's.
  "target": {
    "name": "",
    **OWN_FILES,
    "window": "",
    "train": "",
    "val": "",
    "test": "",
  },
  # Trimmed clips of target classes; without annotations they are cut out of the target
  # videos that are for training. `subset` names the part of the file; "" is all of it.
  "moments": {**OWN_FILES, "subset": "", "length": 0, "least": 8},
  # Source actions cut out of their videos; those with fewer steps are left out.
  "foreground": {"least": 32},
  # Files with one class a line. Without them a share of the classes, drawn by the seed,
  # is the source; or all of them, if source and target have files of their own.
  "split": {"source": "", "target": "", "share": 0.435, "seed": 0},
  "generated": {
    "source": 1500,  # untrimmed windows of source classes
    "target": 1500,  # of target classes, annotated: the oracle alone trains on them
    "moments": 1500,  # trimmed clips of target classes
    "val": 200,  # untrimmed windows of target classes
    "test": 300,
    "source_classes": 6,
    "target_classes": 6,
    "width": 24,  # d of the features
    "noise": 0.5,  # standard deviation of each number of a window
    "moment_noise": 0.3,  # and of a clip, before it is resized
  },
}
