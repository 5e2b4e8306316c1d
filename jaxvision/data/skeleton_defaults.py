"""Config fields of skeleton data; imports nothing, so that a config may."""

NAME = "generated"
GENERATED = {
  "train": 1200,  # clips
  "val": 200,
  "test": 1000,
  "noise": 0.01,  # metres: standard deviation of the white noise in each coordinate
}
DEFAULTS = {
  # generated needs no files; ntu60, ntu120 and kinetics can be planned without them.
  # With files of Kinetics or pyskl it is only what to call them.
  "name": NAME,
  # What `python -m jaxvision.data.skeleton_convert` has written, or a .pkl of pyskl.
  "folder": "",
  "protocol": "xsub",  # of NTU: xsub, xview (60 classes only) or xset (120 only)
  "missing": "",  # text file with the names of NTU's recordings to leave out
  # Training clips held out as "val": at most a fifth of them, or, below 1, a fraction;
  # 0 is the authors' way. Generated clips have a "val" of their own.
  "validation": 0.1,
  "limit": 0,  # at most so many training clips, randomly chosen; 0 takes all
  "seed": 0,  # of the held-out clips, the subset and the generated clips
  "length": 300,  # frames t of an example: longer clips are cut, shorter get zeros
  "persons": 2,  # bodies m of an example, those that move most first
  # On the device (jaxvision.ops.skeletons): "frame" is the authors', for NTU alone;
  # "clip" centres once and rotates nothing; "auto" is "frame" for NTU, else "none".
  "normalize": "auto",
  "stream": "joint",  # or bone, joint_motion, bone_motion
  "augment": {  # of training clips, in this order; all off is the authors' recipe
    "window": 0,  # frames t of a random window; 0 takes all
    "shift": False,  # the clip to a random place in time
    "move": False,  # slow random rotation, scaling and translation in the plane x, y
    "rotate": 0.0,  # radians: largest angle about each axis
    "flip": 0.0,  # probability to mirror a clip, left joints becoming right ones
  },
  "allow_pickle": False,  # load pyskl's .pkl, which can run any code
  "resident_bytes": 2**29,  # splits up to this size are read into memory
  "generated": GENERATED,
}
