"""Fields of a config that all methods share, with their usual values."""

SCHEDULE = {
  "name": "constant",  # constant, step, multistep, cosine, linear
  "unit": "epochs",  # of warmup, every, boundaries: epochs, steps, run (the whole)
  "warmup": 0.0,  # the rate rises linearly from 0 over this long
  "every": 1.0,  # step: multiply by `factor` once in this long
  "boundaries": (),  # multistep: multiply by `factor` at each of these
  "factor": 0.1,
  "final": 0.0,  # cosine, linear: the last rate as a fraction of the first
}
OPTIMIZER = {
  "name": "sgd",  # sgd, adam, adamw
  "learning_rate": 0.1,
  "momentum": 0.9,  # sgd
  "nesterov": False,
  "dampened": False,  # sgd: v <- m v + (1 - m) g, as Hinton et al. (2012)
  "momentum_start": -1.0,  # sgd: if >= 0, momentum rises from here linearly ...
  "momentum_epochs": 0.0,  # ... over this long
  "b1": 0.9,
  "b2": 0.999,
  "eps": 1e-8,
  "weight_decay": 0.0,  # sgd, adam: added to the gradient; adamw: decoupled
  "decay": ((".*kernel", True),),  # (path pattern, decayed or not); first match rules
  "groups": (),  # (path pattern, {field of these: value}); first match rules
  "freeze": (),  # path patterns of parameters that never change
  "clip_norm": 0.0,  # global norm of all gradients; 0 is off
  "max_norm": 0.0,  # squared norm of a unit's incoming weights; 0 is off
  "accumulate": 1,  # micro-batches per optimizer step
  "schedule": SCHEDULE,
}
# Quantized weights and activations of any supervised network; see methods.common.
QUANTIZE = {
  # {"at": path pattern, "quantizer": of ops.quantizers, or "none" to spare what
  # matches, "levels": of ops.quantization.LEVELS, options}; the first match decides.
  "weights": (),
  # The same behind places, as in `insert`; every entry inserts.
  "activations": (),
  # Where an entry is silent: its quantizer, and options if its quantizer has them.
  "quantizer": "quantization_networks",
  "options": {"method": "paper", "backward": "exact", "learn_biases": False},
  "shared": False,  # one quantizer for all weights of an entry
  "rate": 5.0,  # temperature: rate * epoch, from 1
  "constant": False,  # the temperature is `rate` throughout
  "start": 0.0,  # epochs that the temperature has behind it
  "cap": 2000.0,  # of the weights' temperature
  "examples": 1000,  # that activation quantizers are fitted to
  "integers": False,  # int8 arithmetic at inference, where it is possible and a gain
}
# Attacks on a trained classifier of images, see methods.common.robust_attacks: `eval`
# runs them, and `train` in its end. 0 stands for an attack's own number.
ATTACK = {
  # fgsm, pgd, apgd, apgd-t, fab, square, autoattack, or several with commas; "" is
  # none; pgd-cw, apgd-dlr, ...: with that loss whatever `loss` is
  "name": "",
  "eps": 8 / 255,  # largest change of a value in [0, 1]
  "loss": "ce",  # pgd: ce, cw, dlr, trades; apgd: ce, dlr, cw
  "steps": 0,  # pgd 20; apgd, fab 100
  "step_size": 0.0,  # pgd: eps / 10
  "restarts": 1,  # pgd
  "queries": 0,  # square 5000
  "examples": 1000,  # the first ones of the split; 0 is all
  "curve": "pgd",  # attack of the curve over radii; "" draws none
  "radii": (0.25, 0.5, 0.75, 1.0, 1.5, 2.0),  # of the curve, in multiples of eps
}
# Retrieval with a classifier's features, see methods.common.retrieval.
RETRIEVAL = {
  "source": "test",  # images in poses of `distortion`, ukbench:FOLDER, holidays:FOLDER
  "at": "relu_dense",  # place of the descriptors
  "pooling": "average",
  "distortion": "unseen_pose/rst",
  "instances": 500,
}
# ImageNet: the shorter side becomes 256 pixels; a square of 224 is cut out, flipped or
# not. Pixels are those that published weights were trained on.
IMAGENET = {
  "data.name": "imagenet2012",
  "data.size": 256,
  "data.fit": "crop",
  "data.augment.crop": 224,
  "data.augment.flip": True,
  "data.limit": 0,
}
IMAGENET_PIXELS = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SHARED = {
  "method": "",
  "variant": "",
  "seed": 0,  # of parameters, order of data, every random draw
  "seeds": 1,  # runs: seed, seed + 1, ...
  "dtype": "float32",  # of the computation: float32 or bfloat16; state stays float32
  "per_dispatch": 1,  # steps in one call of the compiled program
  "inherit": "last",  # what the next stage takes of the one before: last or best
  "init_from": "",  # file of the network's weights to start from; "" is at random
  "init_leave": "",  # pattern of its modules that start at random all the same
  "insert": (),  # {"at": path pattern, "kind": ..., its fields}: layers.transforms
  "quantize": QUANTIZE,
  "optimizer": OPTIMIZER,
  "ema": {"decay": 0.0},  # of parameters and batch statistics; 0 is off
  "mesh": {
    "data": -1,  # devices that split the batch only; -1 is all that are left
    "fsdp": 1,  # devices that split the batch and the parameters too
    "rules": (),  # (path pattern, "replicated" or "fsdp"), before the default, fsdp
  },
  "checkpoint": {
    "every": 1000,  # steps between two, beside those at evaluations; 0 is at the end
    "keep": 2,  # latest ones kept, beside the best
  },
  "eval": {
    "every": 1000,  # steps between two evaluations on the validation split
    "batch_size": 500,
    "checkpoint": "last",  # eval, predict, export: last or best
    "split": "test",  # --mode=eval
  },
  "attack": ATTACK,
  # export: model.onnx for batches of this size, or "any", by the extra "onnx", whose
  "onnx": "",  # packages want an environment of their own; "" writes none
  "log": {
    "every": 100,  # steps between two lines of training logs
    "tensorboard": False,  # needs pip install "jaxvision[tb]"
    "profile_steps": 0,  # traced by jax.profiler into DIR/profile
    "figures": True,
  },
}
