"""How a run is put together and started."""

import twintrain  # noqa: F401 - before TFX: see there what it loads first
