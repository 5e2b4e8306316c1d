"""One file a paper. Each has three functions, which `experiment.run` calls.

load(config, *, abstract=False) -> data, with a `name` and a `note`
build(config, data) -> train.stage.Method
expected_files(config) -> lines that say which files are expected where
"""
