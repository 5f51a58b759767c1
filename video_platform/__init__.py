"""Self-hosted video understanding on an asset graph."""

__version__ = "0.1.0"
