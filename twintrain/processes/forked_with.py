"""What every process that is forked off has, imported once in the process it is forked off."""

from twintrain import garbage

garbage.collect_rarely()

import keras  # noqa: E402, F401

# Also lets the processes share these pages: a collection would write to them.
garbage.keep_all()
