"""``python -m opspawn_jupyter.cli``."""

from __future__ import annotations

import sys

from opspawn_jupyter.cli import main

sys.exit(main())
