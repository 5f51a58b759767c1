"""Print what pyproject.toml here asks for, with the extras named as arguments: a layer of its own in the image, which our own code leaves alone."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
print("\n".join([*project["dependencies"], *(each for extra in sys.argv[1:] for each in project["optional-dependencies"][extra])]))
