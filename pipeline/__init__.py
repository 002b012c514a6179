"""Fill the holes in a table of image attributes and train a multi-label classifier on it."""

import sys

if sys.argv[0] == "-m":  # runpy looks for the module of `python -m pipeline.…`: a command line
    import os
    import signal

    def _stop(*_: object) -> None:
        # Not an exception: an interrupt while packages are imported would show their insides, and
        # some of them catch it.
        os.write(2, b"interrupted\n")
        os._exit(130)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)
