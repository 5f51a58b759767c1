"""The whole of docker-compose.yml on this machine without a registry: an engine of its own, images made from packages, the platform brought up and down.

From a shell: `python -m scripts.compose up`; from tests: `tests/compose/`.
"""

from scripts.compose.engine import Engine
from scripts.compose.images import Images
from scripts.compose.stack import Stack

__all__ = ["Engine", "Images", "Stack"]
