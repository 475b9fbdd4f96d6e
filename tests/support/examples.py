"""How many examples properties are tried with."""

import os

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")
LONGER = 20 if PROFILE == "nightly" else 1
"""How many times as many `make nightly` tries."""


def examples(usual: int) -> int:
    """For a property that is tried with `usual` examples in `make test`."""
    return usual * LONGER
