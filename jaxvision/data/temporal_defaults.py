"""Config fields of temporal data; imports nothing, so that a config may."""

NAME = "generated"
GENERATED = {
  "train": 4000,  # windows
  "val": 300,
  "test": 300,
  "width": 24,  # d of the features
  "classes": 5,
  "noise": 0.55,  # standard deviation of the white noise in each dimension
}
FRAMES_NAME = "frames"
FRAMES = {
  "train": 1500,  # windows
  "val": 200,
  "test": 300,
  # Where the garments come from: a name of `jaxvision.data.images`, or several
  # separated by "|", of which the first that is available is taken.
  "images": "fashion_mnist|digits",
  "classes": (1, 3, 5, 8, 9),  # of the images: those that are actions
  "noise": 0.05,  # standard deviation of a pixel, in units of its range
  "width": 24,  # d of the features: the backbone's last layer but one
  "backbone_steps": 600,
}
WINDOW = 128  # steps of a window of data that come without files
DEFAULTS = {
  # generated and frames need no features; activitynet and thumos14 can be planned
  # without files. With files it is only what to call them.
  "name": NAME,
  "features": "",  # folder of .npy, .npz, .csv, .h5, .pkl, .pt, or one file of all
  "annotations": "",  # JSON in ActivityNet's form, or THUMOS14's folder
  "train": "",  # names of subsets; "" is the custom of `temporal_splits`
  "val": "",
  "test": "",
  # Training videos held out as "val" where there are none: at most a fifth of them, or,
  # below 1, a fraction. A float, because an int would not be overridden by one.
  "validation": 0.1,
  "limit": 0,  # at most so many training videos, randomly chosen; 0 takes all
  "seed": 0,  # of the held-out videos, the subset and the generated actions
  # Steps t of a window. 0 is `WINDOW`; with files, the power of two next to the median
  # of their steps, but at least 64 and at most 512.
  "length": 0,
  "window": "resize",  # the whole video, or sliding: windows of its own steps
  "mode": "linear",  # of resizing: linear or bin_mean
  "stride": 64,  # sliding: steps from window to window
  "keep": 0.9,  # sliding: share of a segment that must be in the window
  "empty": False,  # whether to train on windows without segments, too
  "step": 0.0,  # seconds between two feature steps; 0 spreads them over the video
  "first": -1.0,  # seconds at the middle of the first of them; -1 is half a step
  "layout": "auto",  # of the files: td is one row a step, dt one column
  "width": 0,  # numbers d a step; 0 takes them from the files
  "prefix": "",  # of the files' names; v_ is found without being set
  "key": "",  # of arrays in .npz or .h5 with VIDEO for the name: v_VIDEO/c3d_features
  "allow_pickle": False,  # load Python objects (.pkl), which can run any code
  "skip_missing": False,  # whether to leave out videos that have no features
  "invalid": "repair",  # faulty segments; "keep" evaluates ActivityNet officially
  "max_segments": 0,  # slots g for the segments of a window; 0 is the most there are
  "resident_bytes": 2**29,  # splits up to this size are read into memory
  "generated": GENERATED,
  "frames": FRAMES,
}
