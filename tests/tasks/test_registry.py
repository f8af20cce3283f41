"""Tasks by name: the project's own, registered ones, declared ones, and import paths."""

from __future__ import annotations

import importlib
import json

import pytest
from packages import declares, forget_modules
from plain_tasks import TASK, Means

from bench3dmm.errors import PluginError, UnknownNameError
from bench3dmm.system import plugins
from bench3dmm.tasks import registry
from bench3dmm.tasks.registry import check_task, get_task, register, task_names, task_origin, tasks_of
from bench3dmm.tasks.task import Measure, Task

OWN = ["reconstruction", "manipulation", "manipulation-from-scratch", "manipulation-by-regions"]
FOREIGN = "from plain_tasks import Means\n\n\nclass Strange(Means):\n    name = 'strange'\n"
EMPTY = "from bench3dmm.tasks.task import Task\n\n\nclass Nothing(Task):\n    name = summary = 'nothing'\n"


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """The project's own tasks alone, before each test and after it."""
    task_names()
    own = {name: task for name, task in registry._REGISTRY.items() if name in OWN}
    monkeypatch.setattr(registry, "_REGISTRY", own)
    return own


@pytest.fixture
def package(package):
    """Makes an installed package that declares tasks: its name, its modules, its tasks."""
    return lambda name, sources, **tasks: package(name, declares("tasks", **tasks), **sources)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module of no package into the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda name, text: (tmp_path / f"{name}.py").write_text(text)
    forget_modules(tmp_path)


# --- the project's own --------------------------------------------------------------------------------------------


def test_the_project_s_own_come_first_and_are_its_own():
    assert task_names() == OWN
    assert [task_origin(name) for name in OWN] == [None] * 4
    assert [get_task(name).name for name in OWN] == OWN


def test_an_unknown_task_is_refused_with_the_nearest_and_all_there_are():
    with pytest.raises(UnknownNameError) as raised:
        get_task("manipulate")
    assert str(raised.value) == (
        "unknown task 'manipulate'. Did you mean 'manipulation'? Known: manipulation, manipulation-by-regions, "
        "manipulation-from-scratch, reconstruction"
    )


@pytest.mark.parametrize(
    ("model", "tasks"),
    [
        ("neural3dmm", ["reconstruction"]),
        ("spiralnet", ["reconstruction"]),
        ("pca", ["reconstruction", "manipulation"]),
        ("lamm", OWN),
    ],
)
def test_a_model_has_the_tasks_it_is_registered_for_and_those_of_all_models(model, tasks):
    assert tasks_of(model) == tasks
    for name in OWN:
        if name in tasks:
            check_task(name, model)
        else:
            with pytest.raises(UnknownNameError, match=f"unknown task of model {model} '{name}'.* Known: "):
                check_task(name, model)
    register(Means)
    assert tasks_of(model) == [*tasks, "means"]
    check_task("means", model)


def test_a_model_that_does_not_exist_has_no_tasks():
    for ask in (lambda: tasks_of("lam"), lambda: check_task("manipulation", "lam")):
        with pytest.raises(UnknownNameError, match=r"unknown model 'lam'\. Did you mean 'lamm'\?"):
            ask()


# --- registering --------------------------------------------------------------------------------------------------


def test_a_class_and_an_object_can_be_registered_and_are_handed_back():
    assert register(Means) is Means
    assert isinstance(get_task("means"), Means) and task_names() == [*OWN, "means"]
    assert task_origin("means")["module"] == "plain_tasks"
    assert register(TASK) is TASK, "the same module may say it again"
    assert get_task("means") is TASK


def test_a_name_of_the_project_s_own_is_not_for_others(own_registry):
    class Mine(Means):
        name = "reconstruction"

    before = own_registry["reconstruction"]
    with pytest.raises(PluginError, match=rf"two tasks are called 'reconstruction', in {type(before).__module__} and"):
        register(Mine)
    assert get_task("reconstruction") is before


def test_a_name_that_somebody_has_is_not_for_others(module):
    register(Means)
    module("other_means", "from bench3dmm.tasks.registry import register\n" + FOREIGN.replace("'strange'", "'means'"))
    other_means = importlib.import_module("other_means")
    with pytest.raises(PluginError, match="two tasks are called 'means', in plain_tasks and other_means: rename one"):
        register(other_means.Strange)
    assert type(get_task("means")) is Means


@pytest.mark.parametrize("name", ["my:task", "", ":"])
def test_a_name_that_looks_like_an_import_path_or_is_none_is_refused(name):
    class Wrong(Means):
        pass

    Wrong.name = name
    with pytest.raises(PluginError, match=f"task {name!r}: a name has no colon"):
        register(Wrong)
    assert task_names() == OWN


def test_a_task_that_measures_nothing_is_refused_however_it_comes(module, package):
    class Nothing(Task):
        name = summary = "nothing"

    with pytest.raises(PluginError, match="task 'nothing' measures nothing: give it measures, the headline first"):
        register(Nothing)
    module("empty_task", EMPTY)
    with pytest.raises(PluginError, match="task 'empty_task:Nothing' measures nothing"):
        get_task("empty_task:Nothing")
    package("hollow", {"hollow_m": EMPTY}, hollow="hollow_m:Nothing")
    with pytest.raises(PluginError, match="task 'hollow' measures nothing"):
        get_task("hollow")
    assert task_names() == [*OWN, "hollow"]


# --- by import path -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [FOREIGN + "\n\nTASK = Strange()\n", FOREIGN + "\n\nTASK = Strange\n"])
def test_an_import_path_gives_its_task_and_is_not_listed(module, text):
    module("stray_task", text)
    task = get_task("stray_task:TASK")
    assert task.headline == Measure("centre.mean_mm", "distance", required=True)
    assert task_names() == OWN and task_origin("stray_task:TASK")["module"] == "stray_task"
    check_task("stray_task:TASK", "neural3dmm")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nobody_has_it:TASK", "nobody_has_it cannot be imported (ModuleNotFoundError"),
        ("wrong_task:TSAK", "has no 'TSAK'"),
        ("wrong_task:", "an import path is MODULE:NAME, such as my_module:TASK"),
        ("wrong_task:NUMBER", "what the import path names neither registers it nor is a bench3dmm.tasks.Task"),
        ("wrong_task:Measure", "neither registers it nor is a bench3dmm.tasks.Task"),
    ],
)
def test_what_is_wrong_with_an_import_path_is_said(module, name, says):
    module("wrong_task", "from bench3dmm.tasks.task import Measure\nNUMBER = 3\n")
    with pytest.raises(PluginError) as raised:
        get_task(name)
    assert f"task {name!r}" in str(raised.value) and says in str(raised.value) and "\n" not in str(raised.value)


# --- declared by an installed package -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["strange_m", "strange_m:Strange", "strange_m:TASK"])
def test_a_declared_task_is_listed_before_it_is_imported(package, value):
    """A module that registers it, a class, an object."""
    text = FOREIGN + "\n\nTASK = Strange()\n"
    if value == "strange_m":
        text = f"from bench3dmm.tasks.registry import register\n{text}register(TASK)\n"
    package("lab", {"strange_m": text}, strange=value)
    assert task_names() == [*OWN, "strange"]
    assert "strange" not in registry._REGISTRY
    task = get_task("strange")
    assert task.name == "strange" and get_task("strange") is task
    found = task_origin("strange")
    assert (found["package"], found["version"], found["module"]) == ("lab", "0.1", "strange_m")
    assert tasks_of("coma") == ["reconstruction", "strange"]


def test_a_broken_package_is_an_error_for_who_asks_alone(package):
    package("broken", {"broken_m": "import a_module_that_nobody_has\n"}, broken="broken_m:TASK")
    assert task_names() == [*OWN, "broken"] and tasks_of("coma") == ["reconstruction"]
    with pytest.raises(PluginError, match=r"task 'broken': broken 0\.1 cannot be imported \(ModuleNotFoundError"):
        get_task("broken")
    assert get_task("reconstruction").name == "reconstruction"


@pytest.mark.parametrize("value", ["odd_m", "odd_m:NUMBER", "odd_m:registered"])
def test_a_package_that_declares_something_else_is_named(package, value):
    text = (
        f"from bench3dmm.tasks.registry import register\n{FOREIGN}\nNUMBER = 3\nregistered = register(Strange) and 0\n"
    )
    package("odd", {"odd_m": text}, odd=value)
    with pytest.raises(PluginError, match=r"task 'odd': odd 0\.1 neither registers it nor is a bench3dmm\.tasks\.Task"):
        get_task("odd")


def test_two_packages_with_one_name_are_an_error_for_that_name(package):
    for name in ("one", "two"):
        package(name, {f"{name}_m": FOREIGN}, twin=f"{name}_m:Strange")
    assert task_names() == [*OWN, "twin"]
    with pytest.raises(PluginError, match=r"task 'twin' is declared by one 0\.1 and two 0\.1: uninstall one of them"):
        get_task("twin")


def test_a_declared_name_that_is_taken_is_an_error_for_that_name(package):
    package("thief", {"thief_m": FOREIGN}, manipulation="thief_m:Strange", means="thief_m:Strange")
    with pytest.raises(PluginError, match=r"task 'manipulation' is this project's own, and thief 0\.1 declares it too"):
        get_task("manipulation")
    register(Means)
    with pytest.raises(PluginError, match=r"task 'means' is registered by plain_tasks, and thief 0\.1 declares it too"):
        get_task("means")
    assert get_task("reconstruction").name == "reconstruction"


# --- on the command line ------------------------------------------------------------------------------------------


def test_the_command_line_takes_a_task_of_ones_own(module, command, monkeypatch, tmp_path, spheres):
    monkeypatch.setattr("bench3dmm.data.registry._registered", {"sphere": lambda: spheres})
    module("stray_task", FOREIGN)
    run = ["run", "--dataset", "sphere", "--model", "pca", "--latent", 4, "--device", "cpu", "--results-dir", "stored"]
    code, out, err = command(*run, "--task", "stray_task:Strange")
    assert code == 0, err
    (path,) = (tmp_path / "stored").glob("smoke/*.json")
    document = json.loads(path.read_text())
    assert out.splitlines()[-1] == f"stored/smoke/{path.name}"
    assert "distance (mm)" in out and f"{document['metrics']['centre']['mean_mm']:.3f}" in out
    assert document["provenance"]["task_origin"]["module"] == "stray_task"
    code, _, err = command(*run, "--task", "reconstuction")
    assert code == 2 and "Did you mean 'reconstruction'?" in err
    assert plugins.is_import_path(document["run"]["task"])
