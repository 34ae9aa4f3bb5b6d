"""`audit doctor`: versions, device, cache, data sets that can be read."""

from __future__ import annotations

from pathlib import Path

import typer

from subgroup_audit.cli.places import CacheFolder, default_cache


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    app.command("doctor")(doctor)


def doctor(cache: CacheFolder = None) -> None:
    """Say what is installed, which device fits would use, and where pixels are kept."""
    import platform
    import shutil
    from importlib.metadata import PackageNotFoundError, entry_points, version

    from subgroup_audit.engine import available_cores, resolve_device

    folder = cache or default_cache()
    typer.echo(
        f"subgroup_audit {version('subgroup-audit')}, Python {platform.python_version()}, {platform.platform()}"
    )
    for name in ("torch", "torchvision", "timm", "pandas", "scikit-learn", "pydicom", "matplotlib"):
        try:
            typer.echo(f"  {name} {version(name)}")
        except PackageNotFoundError:
            typer.echo(f"  {name} is missing: install subgroup-audit again")
    typer.echo(f"device: {resolve_device('auto')}, {available_cores()} cores")
    typer.echo(f"cache: {folder}, {shutil.disk_usage(_existing(folder)).free / 1e9:.0f} GB free")
    sources = sorted(point.name for point in entry_points(group="subgroup_audit.datasets"))
    typer.echo(f"data sets: {', '.join(sources)}")


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())
