"""Finding locustfiles, importing them, and picking out what they define."""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from .directory import get_abspaths_in
from .url import is_url

if TYPE_CHECKING:
    from ..shape import LoadTestShape
    from ..user.users import User


class LocustfileError(Exception):
    """The locustfiles cannot be used; the message is for the user, the exit code is 1."""


def is_user_class(item: Any) -> bool:
    """Whether `item` is a User class that can be run."""
    from ..user.users import User

    return isinstance(item, type) and issubclass(item, User) and item.abstract is False


def is_shape_class(item: Any) -> bool:
    """Whether `item` is a LoadTestShape class that can be run."""
    from ..shape import LoadTestShape

    return isinstance(item, type) and issubclass(item, LoadTestShape) and not item.abstract


# --- finding ---------------------------------------------------------------------------------


def _download(url: str) -> str:
    """Save the locustfile at `url` in the folder for temporary files, until the process ends."""
    import ast
    import atexit
    import tempfile

    import requests

    try:
        response = requests.get(url, timeout=60)
        response.raise_for_status()
    except requests.RequestException as e:
        raise LocustfileError(f"Failed to get locustfile from {url}: {e}") from None
    try:
        ast.parse(response.text)
    except (SyntaxError, ValueError):
        raise LocustfileError(f"Failed to get locustfile from {url}: the response is not valid Python code.") from None
    name = url.split("?")[0].split("#")[0].rstrip("/").rsplit("/", 1)[-1]
    path = os.path.join(tempfile.mkdtemp(prefix="locustfile-"), name if name.endswith(".py") else f"{name}.py")
    with open(path, "w", encoding="utf-8") as file:
        file.write(response.text)
    atexit.register(_forget, path)
    return path


def _forget(path: str) -> None:
    import shutil

    shutil.rmtree(os.path.dirname(path), ignore_errors=True)


def _expand(part: str) -> list[str]:
    if is_url(part):
        return [_download(part)]
    if part == "-":
        raise LocustfileError(
            "locustfile was set to '-' (meaning to download from master) but --worker was not specified."
        )
    if os.path.isdir(part):
        found = get_abspaths_in(part, extension=".py")
        if not found:
            raise LocustfileError(f"Could not find any locustfiles in directory '{part}'")
        return found
    if not os.path.exists(part) or not part.endswith(".py"):
        raise LocustfileError(
            f"Could not find '{part}'. Ensure your locustfile ends with '.py' or is a directory with locustfiles. "
            "See --help for available options."
        )
    return [os.path.abspath(part)]


def parse_locustfile_paths(paths: list[str]) -> list[str]:
    """Absolute paths of the files that these parts of ``-f`` name: files, folders, URLs.

    Raises LocustfileError.
    """
    return [path for part in paths for path in _expand(part.strip())]


# --- importing -------------------------------------------------------------------------------


def _module_name(path: str) -> str:
    """A file named locust.py must not take the package's place."""
    name = os.path.splitext(os.path.basename(path))[0]
    return "locustfile" if name == "locust" else name


class _FolderFirst:
    """While this is entered, imports look into `folder` first; afterwards sys.path is as it was."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.was_at: int | None = None

    def __enter__(self) -> None:
        if self.folder in sys.path:
            self.was_at = sys.path.index(self.folder)
            del sys.path[self.was_at]
        sys.path.insert(0, self.folder)

    def __exit__(self, *unused: object) -> None:
        if self.folder in sys.path:  # the locustfile may have changed it
            sys.path.remove(self.folder)
        if self.was_at is not None:
            sys.path.insert(self.was_at, self.folder)


def import_locustfile(path: str) -> ModuleType:
    """Run the file as a module; what it raises passes through, with a traceback that begins in the file."""
    cwd = os.getcwd()
    if cwd not in sys.path and "" not in sys.path:
        sys.path.insert(0, cwd)
    name = _module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LocustfileError(f"Could not import '{path}'")
    module = importlib.util.module_from_spec(spec)
    replaced = sys.modules.get(name)
    sys.modules[name] = module
    try:
        with _FolderFirst(os.path.dirname(path)):
            spec.loader.exec_module(module)
    except BaseException as e:
        if replaced is None:
            del sys.modules[name]
        else:
            sys.modules[name] = replaced
        e.__traceback__ = _from_file_on(e.__traceback__, path)
        raise
    return module


def _from_file_on(traceback: TracebackType | None, path: str) -> TracebackType | None:
    """The part of the traceback that begins in `path`; None when it never gets there (a syntax error)."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename != path:
        traceback = traceback.tb_next
    return traceback


def print_user_exception(error: BaseException, paths: list[str]) -> None:
    """Print what a locustfile raised, as Python would if the file had been run by itself."""
    import traceback

    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename not in paths:
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)


# --- picking out -----------------------------------------------------------------------------


def _classes_of(module: ModuleType) -> tuple[dict[str, type[User]], list[type[LoadTestShape]]]:
    """The module's user classes by name, in order of definition, and its shape classes; imported ones count."""
    users: dict[str, type[User]] = {}
    shapes: list[type[LoadTestShape]] = []
    for name, item in vars(module).items():
        if is_user_class(item) and item not in users.values():
            users[name] = item
        elif is_shape_class(item) and item not in shapes:
            shapes.append(item)
    return users, shapes


def load_locustfile(path: str) -> tuple[dict[str, type[User]], list[LoadTestShape]]:
    """Import one locustfile: its user classes by name, and an instance of each of its load shapes."""
    users, shapes = _classes_of(import_locustfile(path))
    return users, [shape() for shape in shapes]


def _source_of(cls: type, path: str) -> str:
    """The file that defines the class; `path` is the locustfile in which it was found."""
    if cls.__module__ == _module_name(path):
        return path
    return getattr(sys.modules.get(cls.__module__), "__file__", None) or path


def load_locustfiles(paths: list[str]) -> tuple[dict[str, type[User]], dict[str, LoadTestShape]]:
    """Import all locustfiles: user classes and load shapes by name.

    The same class found twice counts once. Raises LocustfileError for two classes of one name, and
    whatever the files raise.
    """
    users: dict[str, type[User]] = {}
    shapes: dict[str, LoadTestShape] = {}
    sources: dict[str, str] = {}
    for path in paths:
        found, found_shapes = load_locustfile(path)
        for name, cls in found.items():
            source = _source_of(cls, path)
            if name in users and sources[name] != source:
                raise LocustfileError(
                    f"Duplicate user class names: {name} is defined in both {sources[name]} and {source}"
                )
            users.setdefault(name, cls)
            sources.setdefault(name, source)
        for shape in found_shapes:
            name = type(shape).__name__
            if name in shapes:
                raise LocustfileError(f"Duplicate shape classes: {name}")
            shapes[name] = shape
    return users, shapes


def load_or_exit(paths: list[str]) -> tuple[dict[str, type[User]], dict[str, LoadTestShape]]:
    """load_locustfiles() for the command line: what is wrong goes to stderr, and the exit code is 1."""
    try:
        return load_locustfiles(paths)
    except LocustfileError as e:
        _exit(str(e))
    except Exception as e:
        print_user_exception(e, paths)
        sys.exit(1)


def _exit(text: str) -> NoReturn:
    sys.stderr.write(f"gregaria: error: {text}\n")
    sys.exit(1)
