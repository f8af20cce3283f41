"""A page of blocks as one self-contained HTML file, through the templates of the folder ``templates``."""

from __future__ import annotations

import base64
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateNotFound, TemplateSyntaxError

from bench3dmm.errors import Bench3dmmError
from bench3dmm.view.blocks import Block, pieces

TEMPLATES = Path(__file__).parent / "templates"
PAGE, STYLE = "page.html.jinja", "style.css"


def html_page(title: str, blocks: Sequence[Block], templates: str | Path | None = None) -> str:
    """The whole page, with its style and its pictures in it: no scripts, nothing that is loaded from elsewhere.

    Args:
        templates: a folder of somebody's own; each file in it takes the place of ours of the same name, see
            ``templates/page.html.jinja``.

    Raises:
        Bench3dmmError: for a folder without such a file, and for a file in it that cannot be used: which, which line.
    """
    if templates is None:
        return _render(title, blocks, [TEMPLATES])
    own = _checked(Path(templates))
    try:
        return _render(title, blocks, [own, TEMPLATES])
    except Bench3dmmError:
        raise
    except Exception as error:  # whatever an expression in a template can raise
        raise Bench3dmmError(f"{_place(error, own)}: {_reason(error)}") from error


def _render(title: str, blocks: Sequence[Block], folders: Sequence[Path]) -> str:
    loader = ChoiceLoader([_Utf8Folder(folder) for folder in folders])
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["pieces"] = pieces
    environment.filters["data_uri"] = _data_uri
    style, *_ = loader.get_source(environment, STYLE)  # as it is: CSS may hold what Jinja would take for a comment
    named = [(type(block).__name__.lower(), block) for block in blocks]
    return environment.get_template(PAGE).render(title=title, blocks=named, style=style.strip()) + "\n"


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


class _Utf8Folder(FileSystemLoader):
    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        try:
            return super().get_source(environment, template)
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            path = Path(self.searchpath[0]) / template
            raise Bench3dmmError(f"{path}, line {line}: the file must be UTF-8 text") from error


def _checked(folder: Path) -> Path:
    """The folder of somebody's own templates, if it changes anything at all."""
    if not folder.is_dir():
        raise Bench3dmmError(f"{folder}: there is no such folder of templates")
    names = sorted(path.name for path in TEMPLATES.iterdir() if path.is_file())
    if not any((folder / name).is_file() for name in names):
        raise Bench3dmmError(f"{folder}: holds none of the files that it could replace: {', '.join(names)}")
    return folder


def _place(error: Exception, own: Path) -> str:
    """The file and line of a template where it went wrong: somebody's own file, if one was involved at all."""
    if isinstance(error, TemplateSyntaxError):
        return f"{error.filename}, line {error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _lies_in(frame.filename, own, TEMPLATES)]
    if not frames:
        return str(own)
    last = next((frame for frame in reversed(frames) if _lies_in(frame.filename, own)), frames[-1])
    return f"{last.filename}, line {last.lineno}"


def _lies_in(name: str, *folders: Path) -> bool:
    return any(Path(name).is_relative_to(folder) for folder in folders)


def _reason(error: Exception) -> str:
    if isinstance(error, TemplateNotFound):
        return f"there is no template {error.name!r}"
    return str(error.message if isinstance(error, TemplateSyntaxError) else error) or type(error).__name__
