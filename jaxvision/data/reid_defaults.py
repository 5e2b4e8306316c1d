"""Config fields of re-identification data; imports nothing, so that a config may."""

GENERATED, RENDERED, FOLDERS = "generated", "rendered", "folders"  # kinds of data
DRAWN = {  # of generated and rendered people
  "sources": 4,  # domains to train on
  "targets": 3,  # unseen domains to test on; one more, "held_out", is for validation
  "identities": 100,  # of a source
  "images": 8,  # of each of them
  "target_identities": 200,  # with two images each
  # Coordinates of an identity's code whose mean depends on the domain, and by how much:
  # the standard deviation of the domains' means. A code is 8 long and varies by 1.
  "correlated": 3,
  "strength": 1.5,
  "nuisance": 0.7,  # what differs between the images of a person
  "noise": 0.1,
}
DEFAULTS = {
  "name": GENERATED,  # vectors; or rendered: figures of people; or folders
  "folder": "",  # that holds a folder for each data set
  # Data sets of `jaxvision.data.reid_known`, or the user's own, as
  # NAME/<identity>_<camera>_*.jpg.
  "sources": ("market1501", "dukemtmc", "cuhk02", "cuhk03", "cuhk_sysu"),
  "targets": ("viper", "prid", "grid", "ilids"),
  "held_out": "",  # of `sources`: not trained on but validated on
  "splits": "",  # folder of the JSON files of splits; "" is that of each data set
  "height": 256,  # pixels of an image
  "width": 128,
  "augment": {"pad": 0, "flip": False},  # of training images: pixels of 0 all round
  "seed": 0,  # of generated people, and of whom is searched for in `held_out`
  "resident_bytes": 2**29,  # images up to this size are read into memory
  "drawn": DRAWN,
}
