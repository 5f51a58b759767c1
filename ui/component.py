"""Components of the pages: each has a folder with its HTML, CSS and scripts."""

from pathlib import Path
from typing import TYPE_CHECKING

from streamlit.components.v2 import component

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer


def registered(name: str, folder: Path, *scripts: str) -> "ComponentRenderer":
    """The component `name`, of the files `<name>.html`, `.css` and `.js` in `folder`; `scripts` are those that come before its own, in this order."""

    def read(*files: str) -> str:
        return "\n".join((folder / file).read_text(encoding="utf-8") for file in files)

    return component(f"video_platform_{name}", html=read(f"{name}.html"), css=read(f"{name}.css"), js=read(*scripts, f"{name}.js"))
