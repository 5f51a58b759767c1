"""What holds for all tests."""

from hypothesis import settings

settings.register_profile("everywhere", deadline=None)  # a busy machine is no failure of the code
settings.load_profile("everywhere")
