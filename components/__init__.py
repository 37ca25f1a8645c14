"""One TFX component per file, each thin."""

import twintrain  # noqa: F401 - before TFX: see there what it loads first
