"""The version, in one place that build tools read without importing mmgen, and those of other packages."""

__version__ = "0.2.0"


def installed_version(package: str) -> str | None:
    """Of a distribution; None where it is not installed."""
    from importlib import metadata  # every command reads this file; few ask

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
