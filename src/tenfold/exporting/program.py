"""A Keras model as a program of torch (.pt2), which runs without Keras."""

import json
from pathlib import Path

from tenfold.errors import TenfoldError
from tenfold.exporting.content import Content
from tenfold.exporting.graph import foldable, hushed, module, require_torch
from tenfold.runtimes import METADATA


def torch_file(content: Content, path: Path) -> None:
    """Writes what `torch.export.load` opens: uint8 (batch, h, w, 3) in, a tuple of `content.outputs` out.

    Args:
        content: what goes in.
        path: the file, ending in .pt2. It holds its metadata as an extra file, `runtimes.METADATA`.

    Raises:
        UsageError: Keras does not run on torch.
        TenfoldError: the model does what no program can hold.
    """
    require_torch("A program of torch")
    import torch

    whole = module(content)

    class Program(torch.nn.Module):
        # With the model out of sight: torch would save its weights twice, as such, unused, and as constants.
        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return whole(image)

    pictures = torch.zeros((2, *content.model.input_shape[1:]), dtype=torch.uint8)
    try:
        with foldable(), hushed():
            program = torch.export.export(
                Program().eval(),
                (pictures,),
                dynamic_shapes={"image": {0: torch.export.Dim("batch", min=1)}},
            )
            facts = {METADATA: json.dumps(content.told, ensure_ascii=False)}
            torch.export.save(program, path, extra_files=facts)
    except Exception as error:  # the exporter's own and those of the layers it walks through
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TenfoldError(
            f"Model {content.model.name!r} cannot be written as a program of torch: {reason} "
            "Use another format: --format keras."
        ) from error
