"""The one kind of error that is a message to the user and not a bug."""


class UserError(Exception):
  """What the user can mend: one sentence naming the culprit and the remedy.

  `experiments/main.py` prints it alone, without a traceback, and exits with code 2.
  """
