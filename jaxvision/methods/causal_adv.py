"""CausalAdv (Zhang, Gong, Liu, Niu, Tian, Han, Schölkopf, Zhang; ICLR 2022).

Adversarial images fool a network through style, what goes with a label without being
its cause. A second head learns to tell the label from style; the attack makes both
heads disagree with themselves, and training aligns what they say of natural and of
adversarial images. With `config.adversarial.kind` "madry" it is CausalAdv-M, with
"trades" CausalAdv-T; with `config.style.alpha` 0 the classifier is trained as there.

Only the classifier is left at the end: head and basis serve training and the adaptive
attack. Of the paper only the abstract could be read; the method is that of its code.
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxvision.data.examples import ImageDataset
from jaxvision.errors import UserError
from jaxvision.layers import insertion
from jaxvision.methods.common import (
  classification,
  classifier,
  distillation_images,
  image_data,
  style_evaluation,
  supervised,
)
from jaxvision.methods.common.distillation import part
from jaxvision.methods.common.style import LAST, Net
from jaxvision.methods.common.style_stage import train_stage
from jaxvision.models.style_head import StyleHead
from jaxvision.ops.style import KINDS
from jaxvision.train import state
from jaxvision.train.stage import Method, State

load = image_data.load
expected_files = image_data.expected_files


def build(config: ConfigDict, data: ImageDataset) -> Method:
  """Makes the method: one stage, a classifier and its style head."""
  net = build_net(config, data)
  inputs = classifier.network_input(config, data)

  measure = style_evaluation.measurer(config, data, net)

  def figures(now: State, folder: Path) -> None:
    style_evaluation.draw(config, measure, now, folder)

  stage = train_stage(
    config,
    distillation_images.source(config, data.splits["train"], epochs=config.epochs),
    net,
    inputs=inputs,
    evaluate=style_evaluation.evaluator(config, data, net, measure),
    monitor=style_evaluation.robust_name(config),
  )
  return Method(
    stages=(stage,),
    predict=classification.predict_fn(config, net.model),
    variables=lambda now: part(state.variables(now), "model"),
    inputs=image_data.inputs(data),
    read=image_data.reader(data),
    write=image_data.writer(data),
    figures=figures,
    inserted=supervised.where_inserted(net.model, inputs),
  )


def build_net(config: ConfigDict, data: ImageDataset) -> Net:
  """Makes the classifier and the head on its feature.

  Raises:
    UserError: a kind of basis that does not exist, a feature that is not in front of
      the logits, or quantization, which this training does not anneal.
  """
  fields, classes = config.style, len(data.classes)
  if fields.basis not in KINDS:
    raise UserError(
      f"config.style.basis is {fields.basis!r}; choose one of {', '.join(KINDS)}."
    )
  if config.quantize.weights or config.quantize.activations:
    raise UserError(
      "config.quantize: causal_adv does not train quantized networks; quantize its "
      "result, with config.init_from."
    )
  model = supervised.build_model(config, classes)
  places = insertion.places(model.model, classifier.network_input(config, data))
  flat = [name for name, shape in places.items() if len(shape) == 2 and name != LAST]
  if LAST not in places or fields.at not in flat:
    raise UserError(
      f"config.style.at is {fields.at!r}; the feature is what enters the layer "
      f"{LAST!r}, one of {', '.join(flat)}."
    )
  return Net(model, fields.at, StyleHead(classes, config.dtype), fields.basis)
