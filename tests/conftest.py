"""What holds for all tests."""

import signal

from hypothesis import settings

settings.register_profile("everywhere", deadline=None)  # a busy machine is no failure of the code
settings.load_profile("everywhere")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts what runs in its background so, and the children of tests would not hear Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
