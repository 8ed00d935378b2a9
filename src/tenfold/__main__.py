"""`python -m tenfold`: the command line where the `tenfold` script is not on the path."""

import sys

from tenfold.cli import main

sys.exit(main())
