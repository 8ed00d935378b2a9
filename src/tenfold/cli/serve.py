"""Answer pictures over HTTP, with a page to try it on."""

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from tenfold.cli import command, faults
from tenfold.errors import MissingExtraError
from tenfold.serving.limits import Limits


@dataclass(frozen=True)
class Options:
    """Serve runs over HTTP: POST a picture to /predict, or open the page in a browser.

    A run without an exported file gets one first. SIGHUP opens runs that have changed, while the old ones
    answer. Each request is a line of JSON on stdout; what people want to know is on stderr.
    """

    runs: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folders of runs, or ONNX files of `tenfold export`, each as PATH or NAME=PATH."""
    host: str = "127.0.0.1"
    """Address to listen on. 0.0.0.0: all that reach this machine; give a --token then."""
    port: int = 8000
    """Port to listen on; 0 for any free one."""
    runtime: Literal["auto", "openvino", "onnxruntime"] = "auto"
    """What computes the answers. `auto`: what was measured as the fastest."""
    precision: Literal["auto", "float32", "int8"] = "auto"
    """`auto` takes bfloat16 where that is faster and probabilities stay within about 0.04 of float32."""
    max_error: str | None = None
    """Withhold answers (`not sure`) so that at most this share of those given is wrong, such as 2%, by the
    run's validation pictures; and those to pictures unlike all that the run was trained on."""
    token: str | None = None
    """Ask for `Authorization: Bearer TOKEN`. Better given as TENFOLD_TOKEN, which others cannot see."""
    cors: tuple[str, ...] = ()
    """Origins whose pages may ask, such as https://example.org."""
    quiet: bool = False
    """Write no line for each request."""
    limits: tyro.conf.OmitArgPrefixes[Limits] = field(default_factory=Limits)


def run(options: Options) -> int:
    """Serves until a signal; what the verb ends with is an error of its own."""
    if options.token:  # the log of a fault holds the command line
        words = [word.replace(options.token, "***") for word in shlex.split(command.line())[1:]]
        command.remember(words)
    try:
        from tenfold.serving.roster import Roster
        from tenfold.serving.server import serve
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"Serving needs {error.name}. Install it with: pip install 'tenfold[serve,export]'"
        ) from error
    from tenfold import config

    roster = Roster(
        options.runs,
        runtime=options.runtime,
        precision=options.precision,
        max_error=None if options.max_error is None else config.share(options.max_error),
        batch_size=options.limits.batch_size,
    )
    serve(
        roster,
        options.limits,
        host=options.host,
        port=options.port,
        token=options.token or os.environ.get("TENFOLD_TOKEN") or None,
        cors=options.cors,
        log=None if options.quiet else _writer(),
        tell=faults.say,
    )
    return 0


def _writer() -> Callable[[bytes], None]:
    """Writes lines to stdout until nobody reads them any more."""
    target: int | None = sys.stdout.fileno()

    def write(line: bytes) -> None:
        nonlocal target
        if target is not None:
            try:
                os.write(target, line + b"\n")
            except OSError:
                target = None

    return write
