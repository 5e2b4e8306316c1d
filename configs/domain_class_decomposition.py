"""Domain-class correlation decomposition (Yang and Tian, 2021): person Re-ID.

The default trains on rendered figures of four domains and searches in three others.
Variants can be combined: `:vectors,mean,strong`. Of the paper's numbers none is known;
`:paper` is the recipe of a peer on the same benchmark (MetaBIN, Choi et al., 2021).
"""

from jaxvision import config as shared

IMAGENET = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
SMALL = dict(
  name="cnn", widths=(16, 32, 64), kernels=(3,), dense_width=64, norm="batch",
  dense="plain", dense_options={},
)  # fmt: skip
# The small experiment of our own: vectors, an MLP, no neck.
VECTORS = {
  "data.name": "generated",
  "data.augment.pad": 0,
  "data.augment.flip": False,
  "data.drawn.identities": 100,
  "data.drawn.images": 8,
  "data.drawn.target_identities": 200,
  "model": dict(name="embedding_mlp", hidden=(128, 128), width=32),
  "neck.use": False,
  "neck.place": "before",
  "transport.max_ratio": 0.0,
  "epochs": 20.0,
  "optimizer.learning_rate": 1e-3,
  "per_dispatch": 10,
}
ERM = {"transport.kind": "none", "transport.weight": 0.0, "adversary.on": "none"}
DANN = {**ERM, "adversary.on": "z"}
ARMS = {
  "erm": ERM,
  "dann": DANN,
  "dann_alternating": {**DANN, "adversary.kind": "alternating"},
  "coral": {**ERM, "coral": 1.0},
  "mean": {"transport.kind": "mean"},
  "diag": {"transport.kind": "diag"},
  "full": {"transport.kind": "full"},
  "ot": {"transport.kind": "ot"},
  "control": {"adversary.scale": 0.0},  # the critic watches and changes nothing
}
ABLATIONS = {
  "moved_only": {"adversary.on": "none"},  # identity losses on z*, no critic
  "adversary_only": {"transport.weight": 0.0},  # the critic on z*, no identity losses
  "both": {"adversary.on": "both"},
  "alternating": {"adversary.kind": "alternating"},
  "no_ramp": {"adversary.ramp": False},
  "others": {"transport.draw": "others"},
  "permute": {"transport.draw": "permute"},
  "all": {"transport.draw": "all"},
  "cumulative": {"bank.mode": "cumulative"},
  "batch_statistics": {"bank.momentum": 0.0},
  "bank_grad": {"bank.grad": True},
  "before_neck": {"neck.place": "before"},
  "after_neck": {"neck.place": "after"},
}
BENCHMARK = {
  "data.name": "folders",
  "data.height": 256,
  "data.width": 128,
  "data.augment.pad": 10,
  "batch.identities": 20,
  "batch.sampler": "random",
  "dtype": "bfloat16",
  "epochs": 100.0,
  "per_dispatch": 1,
  "neck.place": "before",
  "adversary.widths": (256, 256),
  "optimizer.name": "sgd",
  "optimizer.learning_rate": 0.01,
  "optimizer.weight_decay": 5e-4,
  "optimizer.schedule.name": "multistep",
  "optimizer.schedule.unit": "epochs",
  "optimizer.schedule.boundaries": (40.0, 70.0),
  "optimizer.schedule.warmup": 10.0,
  "eval.every": 10_000,
  "eval.batch_size": 100,
  "checkpoint.every": 2000,
}
# ImageNet weights come with --config.init_from=FILE, as torchvision publishes them.
RESNET = dict(
  name="resnet", depth=50, stem="imagenet", width=64, last_stride=1, remat=True,
  **IMAGENET,
)  # fmt: skip
MOBILENET = dict(name="mobilenet_v2", multiplier=1.4, remat=True, **IMAGENET)
VARIANTS = {
  "vectors": VECTORS,
  # More of the code goes with the domain.
  "strong": {"data.drawn.correlated": 6, "data.drawn.strength": 3.0},
  **ARMS,
  **ABLATIONS,
  "paper": {**BENCHMARK, "model": RESNET},
  "paper_mobilenet": {**BENCHMARK, "model": MOBILENET},
}


def get_config(variant: str = ""):
  config = shared.base("domain_class_decomposition")
  config.data = shared.people(name="rendered", height=48, width=24)
  config.data.augment = dict(pad=2, flip=True)
  config.data.drawn.update(identities=60, images=6, target_identities=100)
  config.epochs = 90.0
  config.per_dispatch = 5
  config.batch = dict(
    identities=4,  # of each source, "balanced", or of all together, "random"
    images=4,  # of each identity
    sampler="balanced",
  )
  config.model = SMALL
  config.neck = dict(
    use=True,
    # Features are moved, and domains told, before or after it. Before it those of the
    # small CNN come out of a ReLU, and moving them makes it collapse.
    place="after",
  )
  config.identity = dict(smoothing=0.1, margin=0.3, triplet=1.0)
  config.transport = dict(
    kind="diag",  # none, mean, diag, full, ot: ops.transport
    eps=1e-5,
    max_ratio=4.0,  # of standard deviations; 0 is no bound
    draw="uniform",  # uniform, others, permute, all
    weight=1.0,  # of the identity losses on moved features
    warmup=0,  # steps before losses on moved features count
  )
  config.bank = dict(mode="ema", momentum=0.9, grad=False)  # ema or cumulative
  config.adversary = dict(
    on="z_star",  # none, z, z_star, both
    kind="reversal",  # or alternating, with the optimizer below
    scale=0.1,  # lambda
    ramp=True,
    widths=(64,),
    penalty=0.0,  # of the critic's squared gradient, alternating only
    optimizer=dict(learning_rate=1e-3, b1=0.5, b2=0.9, weight_decay=0.0),
  )
  config.coral = 0.0  # weight
  config.retrieval = dict(
    gallery="",  # predict: folder of images, or .npy file, to search in
    top=10,  # predict: results of a query
    flip=False,  # add the mirror image's features
  )
  config.optimizer.name = "adam"
  config.optimizer.learning_rate = 1e-3
  config.eval.every = 500
  return shared.finish(config, variant, VARIANTS)
