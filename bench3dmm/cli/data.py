"""Commands on datasets: data info, data build, data import."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bench3dmm.cli.options import Quiet, Unit
from bench3dmm.cli.show import new_table, print_table
from bench3dmm.errors import MeshError
from bench3dmm.system.words import listed

if TYPE_CHECKING:
    from bench3dmm.data.dataset import Dataset
    from bench3dmm.data.imports.plans import Options

commands = typer.Typer(no_args_is_help=True, help="Look at the datasets, generate them ahead of time, import your own.")
Name = Annotated[str, typer.Argument(help="Dataset, or NAME@VARIANT.")]


@commands.command("info")
def data_info(name: Name) -> None:
    """Size, people, expressions and origin of a dataset; generates it if it is not in the cache."""
    from bench3dmm.data.registry import load_dataset

    dataset = load_dataset(name, progress=True)
    samples = dataset.samples
    template = dataset.template
    typer.echo(f"{dataset.name}: {len(dataset):,} registered meshes of {samples['subject'].nunique()} subjects")
    typer.echo(f"template: {template.n_vertices:,} vertices, {len(template.faces):,} faces")
    typer.echo(f"sha256: {dataset.sha256}")
    for key, value in {**dataset.card, **dataset.card.get("recipe", {})}.items():
        if key not in ("sha256", "shape", "recipe"):
            typer.echo(f"{key}: {', '.join(value) if isinstance(value, list) else value}")
    table = new_table("expression", "meshes", "subjects")
    for expression, group in samples.groupby("expression", sort=True):
        table.add_row(str(expression), f"{len(group):,}", str(group["subject"].nunique()))
    print_table(table)


@commands.command("build")
def data_build(name: Name) -> None:
    """Generate a dataset into the cache ($BENCH3DMM_CACHE, or the user's cache folder)."""
    from bench3dmm.data.registry import load_dataset
    from bench3dmm.system.storage import cache_dir

    dataset = load_dataset(name, progress=True)
    typer.echo(f"{dataset.name}: {len(dataset):,} meshes, sha256 {dataset.sha256[:12]}…, in {cache_dir()}")


import_commands = typer.Typer(
    no_args_is_help=True,
    help=(
        "Import data of your own: COMA, the registered BU3DFE, or any registered meshes.\n\n"
        "Every mesh is checked (vertices, connectivity, NaN, size), converted to mm and copied into the cache "
        "($BENCH3DMM_CACHE, or the user's cache folder). Nothing is uploaded, and nothing written anywhere else. "
        "An import that is stopped goes on when the same command is given again. See docs/licensed-data.md."
    ),
)
commands.add_typer(import_commands, name="import")


TemplateFile = Annotated[Path | None, typer.Option(help="PLY or OBJ with the connectivity; else the first mesh's.")]
LandmarksFile = Annotated[Path | None, typer.Option(help="Vertex ids in a .txt, .json or .npy; for the weighted loss.")]
OneBased = Annotated[
    bool | None, typer.Option("--one-based/--zero-based", help="From what landmark ids count.", show_default=False)
]
LargestComponent = Annotated[
    bool, typer.Option("--largest-component", help="Only the largest connected part of each mesh.")
]
Replace = Annotated[bool, typer.Option("--replace", help="Replace an import of that name by other data.")]
_COMA_EXAMPLES = "[bold]Example[/bold]\n\n  bench3dmm data import coma --source ~/COMA_data"


@import_commands.command("coma", epilog=_COMA_EXAMPLES)
def import_coma_command(
    source: Annotated[Path, typer.Option(help="The folder that holds the subjects' folders.")],
    template: TemplateFile = None,
    landmarks: LandmarksFile = None,
    one_based: OneBased = None,
    unit: Unit = None,
    largest_component: LargestComponent = False,
    replace: Replace = False,
    quiet: Quiet = False,
) -> None:
    """COMA, as the dataset coma. Get it, with a licence, from coma.is.tue.mpg.de.

    Layout of DIR, the raw download: SUBJECT/EXPRESSION/*.ply, e.g.
    FaceTalk_170725_00137_TA/bareteeth/bareteeth.000001.ply, in metres. Meshes per expression are compared with the
    paper's Table 1 and every difference is listed.
    """
    from bench3dmm.data.imports.coma import import_coma

    options = _options(template, landmarks, one_based, unit, largest_component, replace, quiet)
    _imported(import_coma(source, options))


_BU3DFE_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm data import bu3dfe --source ~/BU3DFE\n\n"
    "  bench3dmm data import bu3dfe --source ~/BU3DFE --array ~/BU3DFE/dataset.npy --one-based"
)


@import_commands.command("bu3dfe", epilog=_BU3DFE_EXAMPLES)
def import_bu3dfe_command(
    source: Annotated[Path, typer.Option(help="The folder that holds the files.")],
    array: Annotated[Path | None, typer.Option(help="The array, if several or none is found.")] = None,
    template: Annotated[Path | None, typer.Option(help="The PLY or OBJ, if several or none is found.")] = None,
    landmarks: Annotated[Path | None, typer.Option(help="The vertex ids, if several or none is found.")] = None,
    identities: Annotated[Path | None, typer.Option(help="The list, if several or none is found.")] = None,
    without_landmarks: Annotated[
        bool, typer.Option("--without-landmarks", help="Import without; the weighted loss then refuses.")
    ] = False,
    one_based: Annotated[
        bool | None,
        typer.Option(
            "--one-based/--zero-based",
            help="From what landmark ids count, if symmetry cannot tell.",
            show_default=False,
        ),
    ] = None,
    unit: Unit = None,
    largest_component: LargestComponent = False,
    replace: Replace = False,
    quiet: Quiet = False,
) -> None:
    """The registered BU3DFE, as the dataset bu3dfe. The scans are licensed by Binghamton University.

    DIR holds, under any names: an array (.npy, N × V × 3: 1779 × 6704 × 3, metres), a template (OBJ or PLY of V
    vertices), landmarks (a list of vertex ids), and identities (a text file, one a row of the array, such as
    F0001_AN01WH: subject, expression, level). Each is found by what it is. Meshes per expression are compared with the
    paper's Table 2 and every difference is listed.
    """
    from bench3dmm.data.imports.bu3dfe import import_bu3dfe

    options = _options(template, landmarks, one_based, unit, largest_component, replace, quiet)
    _imported(import_bu3dfe(source, options, array=array, identities=identities, without_landmarks=without_landmarks))


_MESHES_EXAMPLES = (
    "[bold]Examples[/bold]\n\n"
    "  bench3dmm data import meshes --name mine --source faces\n\n"
    "  bench3dmm data import meshes --name mine --source faces --samples faces/table.csv\n\n"
    "  bench3dmm data import meshes --name mine --array faces.npy --template face.obj --samples table.csv"
)


@import_commands.command("meshes", epilog=_MESHES_EXAMPLES)
def import_meshes_command(
    name: Annotated[str, typer.Option(help="What the dataset shall be called.")],
    source: Annotated[Path | None, typer.Option(help="The folder that holds the PLY or OBJ files.")] = None,
    array: Annotated[Path | None, typer.Option(help="Instead of a folder: a .npy of shape (N, V, 3).")] = None,
    samples: Annotated[
        Path | None, typer.Option(help="CSV: file, subject, expression, maybe level (0 to 1) and frame; a row a mesh.")
    ] = None,
    template: TemplateFile = None,
    landmarks: LandmarksFile = None,
    one_based: OneBased = None,
    unit: Unit = None,
    largest_component: LargestComponent = False,
    replace: Replace = False,
    quiet: Quiet = False,
) -> None:
    """Any registered meshes: all with the same vertices and faces, in the same order.

    Either DIR/SUBJECT/EXPRESSION/*.ply (or .obj); or any folder with --samples, whose column file names the meshes
    below DIR; or an array with --template and --samples (without the column file).
    """
    from bench3dmm.data.imports.meshes import import_meshes

    options = _options(template, landmarks, one_based, unit, largest_component, replace, quiet)
    _imported(import_meshes(name, source, options, array=array, samples=samples))


def _options(
    template: Path | None,
    landmarks: Path | None,
    one_based: bool | None,
    unit: str | None,
    largest_component: bool,
    replace: bool,
    quiet: bool,
) -> Options:
    """What every import can be told."""
    from bench3dmm.data.imports.plans import Options

    return Options(template, landmarks, one_based, unit, largest_component, replace, progress=not quiet)


def _imported(dataset: Dataset) -> None:
    from bench3dmm.data.cache import imported_dir

    folder = imported_dir() / dataset.name
    typer.echo(f"{dataset.name}: {len(dataset):,} meshes, sha256 {dataset.sha256[:12]}…, in {folder}")
    typer.echo(f"hierarchy: {_hierarchy_of(dataset)}")


def _hierarchy_of(dataset: Dataset) -> str:
    """What is chosen for the template; or why there is none, and who then cannot run."""
    from bench3dmm.mesh.hierarchy import build_hierarchy, described, factors_for

    try:
        return described(build_hierarchy(dataset.template), factors_for(dataset.template))
    except MeshError as error:
        from bench3dmm.models.registry import model_names, needs_hierarchy

        models = [name for name in model_names() if needs_hierarchy(name)]
        return f"none, so that {listed(models)} cannot run ({error})"
