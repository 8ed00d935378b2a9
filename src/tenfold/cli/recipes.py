"""List the recipes and their main settings."""

from dataclasses import dataclass

from tenfold.cli.progress import tables


@dataclass(frozen=True)
class Options:
    """List the recipes. See all settings of one with: tenfold train --recipe NAME --help"""

    json: bool = False
    """Print one JSON object a recipe."""


def run(options: Options) -> int:
    """Prints the table."""
    from tenfold import recipes

    listed = [(name, line, recipes.recipe(name)) for name, line in recipes.describe()]
    if options.json:
        import dataclasses
        import json

        for name, line, config in listed:
            settings = dataclasses.asdict(config)
            print(json.dumps({"name": name, "description": line, "settings": settings}, ensure_ascii=False))
        return 0
    from rich.table import Table
    from rich.text import Text

    table = Table("recipe", "epochs", "batch", "optimizer", "what", box=None, pad_edge=False)
    table.columns[1].justify = table.columns[2].justify = "right"
    for name, line, config in listed:
        numbers = (str(config.epochs), str(config.batch_size), config.optimizer)
        table.add_row(name, *numbers, Text(line))
    tables().print(table)
    return 0
