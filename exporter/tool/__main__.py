"""`python -m exporter.tool` is `viam-billing`."""

import sys

from exporter.tool.command import main

sys.exit(main())
