"""Runs in the process of the user's script, and waits until the script reads its options.

`hook/sitecustomize.py` loads this package under another name; `modeldir` itself may not be
installed there, so nothing here imports it, or anything but the standard library. Start at
`install`. Each `*_options.py` is for one library: it finds the moment in which a script asks for
its options, describes them, and hands them to `conversation.hold`, which never returns.
"""

from __future__ import annotations

from . import on_import


def install(address: str) -> None:
    """Watch the libraries that read options. `address` is the socket of `modeldir adopt`."""
    from . import (  # noqa: PLC0415 - after the package itself is loaded
        absl_options,
        argparse_options,
        click_options,
        configurator,
        conversation,
        fire_options,
        hydra_options,
        jsonargparse_options,
        tyro_options,
    )

    conversation.ADDRESS[:] = [address]
    on_import.watch(
        {
            "argparse": argparse_options.patch,
            "jsonargparse._core": jsonargparse_options.patch,
            "jsonargparse.core": jsonargparse_options.patch,
            "click.core": click_options.patch,
            "typer._click.core": click_options.patch,
            "absl.app": absl_options.patch,
            "hydra._internal.hydra": hydra_options.patch,
            "fire.core": fire_options.patch,
            "tyro._cli": tyro_options.patch,
        }
    )
    configurator.patch()
