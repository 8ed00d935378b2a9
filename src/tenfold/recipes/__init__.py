"""Recipes: settings that belong together, by name. One file each, with what to expect in its docstring."""

import ast
import importlib
from pathlib import Path

from tenfold.config import Config
from tenfold.errors import UsageError, unknown

RECIPES = (
    "fast",
    "accurate",
    "transfer",
    "own",
    "micro",
    "resnet20",
    "vit",
    "tiny",
    "plain",
    "compact",
    "batchnorm",
    "augmented",
)


def recipe(name: str = "fast") -> Config:
    """The settings of a recipe.

    Raises:
        UsageError: there is no such recipe; the nearest is named.

    Example:
        >>> recipe("tiny").epochs
        15
    """
    if name not in RECIPES:
        raise UsageError(unknown("recipe", name, RECIPES))
    settings: Config = importlib.import_module(f"tenfold.recipes.{name}").recipe()
    return settings


def describe() -> list[tuple[str, str]]:
    """Name and one line of every recipe, from the files' docstrings."""
    folder = Path(__file__).parent
    docs = [
        (name, ast.get_docstring(ast.parse((folder / f"{name}.py").read_text("utf-8")))) for name in RECIPES
    ]
    return [(name, (doc or "").splitlines()[0]) for name, doc in docs]
