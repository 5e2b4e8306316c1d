"""The checker of annotations under pytest."""

from beartype import BeartypeConf, beartype

# As in PEP 484, an int will do where a float is expected.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
