"""IE-KD (Huang, Shen, Xing, Liu, Tian, Li, Deng, Huang, Hua; CVPR 2021).

A student that only imitates its teacher also copies its blind spots. Here one half of
the student's channels inherits the teacher's compact knowledge, the code of an
auto-encoder, and the other half explores: it is pushed away from that code, while the
task's loss keeps it useful. Stages: "teacher" (or a file of weights), "autoencoder",
perhaps "hints", "student"; only the student's network is left at the end.

The roles are the paper's; the released code calls the trained network "teacher" and the
frozen one "student". The pieces work for any networks, data and tasks
(`methods.common.distillation`); here they are put together for image classifiers.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jaxvision.data.examples import ImageDataset
from jaxvision.methods.common import (
  classification,
  classifier,
  criteria,
  distillation_analysis,
  image_data,
  mutual,
  supervised,
)
from jaxvision.methods.common import distillation_images as images
from jaxvision.methods.common.distillation import Criterion, observer, part
from jaxvision.methods.common.distillation_analysis import Analysis
from jaxvision.methods.common.distillation_stages import (
  Source,
  coder_stage,
  student_stage,
)
from jaxvision.methods.common.supervised import Evaluate, Model
from jaxvision.models.coders import AutoEncoder
from jaxvision.train import schedules, state
from jaxvision.train.stage import Method, Metrics, Stage, State
from jaxvision.typing import PyTree

load = images.load


def expected_files(config: ConfigDict) -> tuple[str, ...]:
  """Says which files are expected where."""
  weights = {"teacher": config.teacher.init_from, "student": config.init_from}
  found = (f"{path}: weights of the {name}" for name, path in weights.items() if path)
  return (*image_data.expected_files(config), *found)


def build(config: ConfigDict, data: ImageDataset) -> Method:
  """Makes the method: the stages that `config.distill.kind` needs."""
  classes = len(data.classes)
  student = supervised.build_model(config, classes)
  teacher = supervised.build_model(images.teacher_config(config), classes)
  if config.distill.kind in mutual.KINDS:
    return _method(config, data, student, _mutual(config, data, student, teacher))
  shapes = images.teacher_shapes(config, data, teacher)
  criterion = criteria.build(config, shapes)
  stages = _before(config, data, teacher)
  taps = config.distill.teacher_taps or config.distill.taps
  coder = _coder(config) if criteria.uses_coder(config) else None
  analysis = Analysis(
    config,
    data,
    student,
    criterion,
    look=observer(teacher, taps),
    see=observer(teacher, taps, coder),
  )
  teach = _inherited(config, images.teacher_variables(config, data, teacher))
  seen: dict[str, PyTree] = {}
  stages += _students(analysis, teach, seen)
  figures = lambda now, folder: distillation_analysis.draw(analysis, now, seen, folder)
  return _method(config, data, student, stages, figures)


def _method(
  config: ConfigDict,
  data: ImageDataset,
  student: Model,
  stages: tuple[Stage, ...],
  figures: Callable[[State, Path], None] | None = None,
) -> Method:
  """What is done with the student's network, whatever has taught it."""
  drawing = {} if figures is None else {"figures": figures}
  return Method(
    stages=stages,
    predict=classification.predict_fn(config, student),
    variables=lambda now: part(state.variables(now), "student"),
    inputs=image_data.inputs(data),
    read=image_data.reader(data),
    write=image_data.writer(data),
    inserted=supervised.where_inserted(student, classifier.network_input(config, data)),
    **drawing,
  )


def _coder(config: ConfigDict) -> AutoEncoder:
  return AutoEncoder(config.coder.width, norm=config.coder.norm, dtype=config.dtype)


def _before(
  config: ConfigDict, data: ImageDataset, teacher: Model
) -> tuple[Stage, ...]:
  """The stages that make the teacher and its auto-encoder."""
  stages = ()
  if not config.teacher.init_from:
    stages += (images.teacher_stage(config, data, teacher),)
  if criteria.uses_coder(config):
    variables = images.teacher_variables(config, data, teacher)
    taps, coder = config.distill.teacher_taps or config.distill.taps, _coder(config)
    see = observer(teacher, taps)
    stages += (
      coder_stage(
        config.coder,
        coder,
        images.source(config, data.splits["train"], epochs=config.coder.epochs),
        see,
        size=config.batch_size,
        frozen=lambda inherited: {"teacher": variables(inherited)},
        evaluate=images.coder_evaluator(config, data, coder, see),
      ),
    )
  return stages


def _inherited(
  config: ConfigDict, teacher: Callable[[Mapping[str, State]], PyTree]
) -> Callable[[Mapping[str, State]], dict[str, PyTree]]:
  """Returns {earlier stage: state} -> what a student reads of them."""

  def frozen(inherited: Mapping[str, State]) -> dict[str, PyTree]:
    found = {"teacher": teacher(inherited)}
    if criteria.uses_coder(config):
      found["coder"] = state.variables(inherited["autoencoder"])
    return found

  return frozen


def _students(
  analysis: Analysis,
  teach: Callable[[Mapping[str, State]], dict[str, PyTree]],
  seen: dict[str, PyTree],
) -> tuple[Stage, ...]:
  """The stage "student", perhaps after "hints", where the task does not count yet.

  FitNets and AB were published so: hints first, then the task (with soft targets).
  """
  config, criterion = analysis.config, analysis.criterion
  hints = config.distill.hint_epochs

  def stage(epochs: float, criterion: Criterion, frozen, name: str) -> Stage:
    source = images.source(config, analysis.data.splits["train"], epochs=epochs)
    own = analysis._replace(criterion=criterion)
    return student_stage(
      config,
      analysis.model,
      source,
      criterion,
      analysis.see,
      loss=images.loss,
      strength=_strength(config, source),
      frozen=frozen,
      evaluate=_remembering(distillation_analysis.evaluator(own), seen),
      monitor="accuracy",
      name=name,
    )

  from_file = images.student_start(config, analysis.data, analysis.model)
  given = lambda inherited: {**teach(inherited), **from_file(inherited)}
  if not hints:
    return (stage(config.epochs, criterion, given, "student"),)
  first = criterion._replace(task_weight=0.0, outputs=None)
  then = criterion._replace(loss=None, adapter=None)

  def start(inherited: Mapping[str, State]) -> dict[str, PyTree]:
    begun = part(state.variables(inherited["hints"]), "student")
    return {**teach(inherited), "start": begun}

  return (
    stage(hints, first, given, "hints"),
    stage(config.epochs, then, start, "student"),
  )


def _strength(config: ConfigDict, source: Source) -> Any:
  """The factor of the feature loss at each step: `config.distill.schedule`."""
  epoch = max(1, len(source.train) // config.batch_size)
  steps = {"steps": source.steps, "steps_per_epoch": epoch}
  return schedules.build(config.distill.schedule, 1.0, **steps)


def _remembering(measure: Evaluate, seen: dict[str, PyTree]) -> Evaluate:
  """An `evaluate` that notes in `seen` what it was given of the teacher.

  Figures get a state alone, but show the teacher too; a run evaluates before it draws.
  """

  def evaluate(now: State, frozen: PyTree, split: str) -> Metrics:
    seen.update({k: v for k, v in frozen.items() if k in ("teacher", "coder")})
    return measure(now, frozen, split)

  return evaluate


def _logits_of(name: str, model: Model) -> Callable[[PyTree, Any], Any]:
  """(joined variables, x) -> logits of one of the networks."""
  logits = classification.logits_fn(model)
  return lambda variables, x: logits(part(variables, name), x)


def _mutual(
  config: ConfigDict, data: ImageDataset, student: Model, peer: Model
) -> tuple[Stage, ...]:
  """The one stage of DML and IE-DML; `config.teacher.model` is the peer's network."""
  nets = mutual.networks(config, student, peer)
  evaluators = {
    name: classification.evaluator(config, data, _logits_of(name, model))
    for name, model in nets.models.items()
  }

  def evaluate(now: State, frozen: PyTree, split: str) -> Metrics:
    own = evaluators[mutual.FIRST](now, frozen, split)
    other = evaluators[mutual.SECOND](now, frozen, split)
    return own | {f"peer/{name}": value for name, value in other.items()}

  return (
    mutual.mutual_stage(
      config,
      nets,
      images.source(config, data.splits["train"], epochs=config.epochs),
      loss=images.loss,
      evaluate=evaluate,
      monitor="accuracy",
    ),
  )
