"""The command line as locustfiles see it: a parser to add arguments to, and the parsed options.

Words, environment variables and config files are read by C, from one table of options
(``locust._engine.parse_args``). An argument that a locustfile adds joins that table for the parse; its
texts are then converted here, by argparse's rules.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from . import _engine
from .util.load_locustfile import LocustfileError, parse_locustfile_paths
from .util.timespan import parse_timespan

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = [
    "Argument",
    "LocustArgumentParser",
    "UIExtraArgOptions",
    "default_args_dict",
    "get_parser",
    "parse_locustfile_option",
    "parse_locustfile_paths",
    "parse_options",
    "parse_timespan",
    "ui_extra_args_dict",
]

DEFAULT_CONFIG_FILES = ("~/.locust.conf", "locust.conf", "pyproject.toml")

PROG = "gregaria"

SOURCES = ("default", "~/.locust.conf", "locust.conf", "pyproject.toml", "config", "env", "command_line")
"""Where a value can come from, lowest rank first."""

FLAGS = ("store_true", "store_false", "store_const")


class UIExtraArgOptions(NamedTuple):
    """What the web form needs to know about an added argument."""

    default_value: Any
    is_secret: bool
    help_text: str
    choices: list[Any] | None = None
    is_required: bool = False
    is_multiple: bool = False


class Argument:
    """One argument that a locustfile added; the keywords are those of ``add_argument``."""

    def __init__(
        self,
        *names: str,
        action: str = "store",
        nargs: int | str | None = None,
        const: Any = None,
        default: Any = None,
        type: Callable[[str], Any] | None = None,  # noqa: A002 - argparse's name
        choices: Iterable[Any] | None = None,
        required: bool = False,
        help: str | None = None,  # noqa: A002
        metavar: str | tuple[str, ...] | None = None,
        dest: str | None = None,
        env_var: str | None = None,
        include_in_web_ui: bool = True,
        is_secret: bool = False,
        is_required: bool = False,
        is_multiple: bool = False,
    ) -> None:
        if not names or not all(name.startswith("-") and name.strip("-") for name in names):
            raise ValueError(f"an argument's name must begin with '-', not {' '.join(names)!r}")
        if action not in (*FLAGS, "store", "append"):
            raise ValueError(f"action {action!r} is not supported: use store, append, {', '.join(FLAGS)}")
        if action != "store" and nargs is not None:
            raise ValueError(f"nargs does not go with action {action!r}")
        if nargs is not None and nargs not in ("?", "*", "+") and not (isinstance(nargs, int) and nargs > 0):
            raise ValueError(f"nargs {nargs!r} is not supported: use '?', '*', '+' or a number greater than 0")
        self.option_strings = list(names)
        self.action = action
        self.nargs = nargs
        self.const = const
        self.default = default
        self.type = type
        self.choices = choices
        self.required = required
        self.help = help
        self.metavar = metavar
        self.dest = dest or _dest_of(names)
        self.env_var = env_var
        self.include_in_web_ui = include_in_web_ui
        self.is_secret = is_secret
        self.is_required = is_required
        self.is_multiple = is_multiple
        if action in ("store_true", "store_false"):
            self.const = action == "store_true"
            self.default = not self.const if default is None else default

    def __repr__(self) -> str:
        return f"Argument({', '.join(map(repr, self.option_strings))}, dest={self.dest!r})"

    @property
    def display_name(self) -> str:
        """The names as error messages show them."""
        return "/".join(self.option_strings)

    def row(self) -> dict[str, str | None]:
        """The argument for ``_engine.parse_args``."""
        kind = "string" if self.nargs is None else "list"
        if self.action == "append":
            kind = "append"
        elif self.action in FLAGS:
            kind = "flag"
        metavar = self.metavar if isinstance(self.metavar, str) else None
        return {
            "names": " ".join(self.option_strings),
            "dest": self.dest,
            "kind": kind,
            "env": self.env_var,
            "metavar": metavar,
            "help": self.help,
        }

    def convert(self, text: str) -> Any:
        """One text to a value; ValueError with what is wrong with it."""
        function = self.type or str
        try:
            value = function(text)
        except (TypeError, ValueError):
            name = getattr(function, "__name__", repr(function))
            raise ValueError(f"invalid {name} value: {text!r}") from None
        if self.choices is not None and value not in self.choices:
            raise ValueError(f"invalid choice: {value!r} (choose from {', '.join(map(repr, self.choices))})")
        return value

    def initial(self) -> Any:
        """The default; a text is converted, as argparse does it."""
        if isinstance(self.default, str) and self.action not in FLAGS:
            return (self.type or str)(self.default)
        return self.default

    def value_of(self, given: Any) -> Any:
        """What the C parser found, as this argument's value; ValueError with what is wrong with it."""
        if self.action in FLAGS:
            return self.const if given else self.default
        if self.action == "append":
            return [*(self.default or []), *map(self.convert, given)]
        if self.nargs is None:
            return self.convert(given)
        if self.nargs == "?":
            if len(given) > 1:
                raise ValueError("expected at most one argument")
            return self.convert(given[0]) if given else self.const
        if self.nargs == "+" and not given:
            raise ValueError("expected at least one argument")
        if isinstance(self.nargs, int) and len(given) != self.nargs:
            raise ValueError(f"expected {self.nargs} argument{'' if self.nargs == 1 else 's'}")
        return [self.convert(text) for text in given]


def _dest_of(names: Sequence[str]) -> str:
    name = next((name for name in names if name.startswith("--")), names[0])
    return name.lstrip("-").replace("-", "_")


class ArgumentGroup:
    """A heading for arguments; they are the parser's own."""

    def __init__(self, parser: LocustArgumentParser, title: str | None, description: str | None) -> None:
        self.parser = parser
        self.title = title
        self.description = description

    def add_argument(self, *names: str, **keywords: Any) -> Argument:
        """Add an argument to the parser."""
        return self.parser.add_argument(*names, **keywords)


class LocustArgumentParser:
    """What listeners of ``init_command_line_parser`` get: add_argument as argparse has it, and more.

    Besides argparse's keywords, an argument has ``env_var`` (an environment variable that sets it),
    ``include_in_web_ui``, ``is_secret``, ``is_required`` and ``is_multiple`` (for the web form).
    """

    def __init__(self, prog: str = PROG) -> None:
        self.prog = prog
        self.arguments: list[Argument] = []
        self._defaults: dict[str, Any] = {}

    # --- adding ---

    def add_argument(self, *names: str, **keywords: Any) -> Argument:
        """Add an argument; its value becomes an attribute of ``environment.parsed_options``."""
        argument = Argument(*names, **keywords)
        taken = {name for other in self.arguments for name in other.option_strings}
        conflict = [name for name in names if name in taken]
        if conflict:
            raise ValueError(f"conflicting option string: {', '.join(conflict)}")
        self.arguments.append(argument)
        return argument

    def add_argument_group(self, title: str | None = None, description: str | None = None) -> ArgumentGroup:
        """A group to add arguments to."""
        return ArgumentGroup(self, title, description)

    def set_defaults(self, **defaults: Any) -> None:
        """Change defaults, also those of built-in options, or set attributes that no option has."""
        for argument in self.arguments:
            if argument.dest in defaults:
                argument.default = defaults[argument.dest]
        self._defaults.update(defaults)

    def get_default(self, dest: str) -> Any:
        """The default of an option, None when there is no such option."""
        for argument in self.arguments:
            if argument.dest == dest:
                return argument.default
        return self._defaults.get(dest, default_args_dict().get(dest))

    def _included(self, condition: Callable[[Argument], bool]) -> dict[str, Argument]:
        return {a.dest: a for a in self.arguments if a.include_in_web_ui and condition(a)}

    @property
    def args_included_in_web_ui(self) -> dict[str, Argument]:
        """The added arguments that the web form shows, by dest."""
        return self._included(lambda _: True)

    @property
    def secret_args_included_in_web_ui(self) -> dict[str, Argument]:
        """Of these, the ones whose value is not shown."""
        return self._included(lambda a: a.is_secret)

    @property
    def required_args_included_in_web_ui(self) -> dict[str, Argument]:
        """Of these, the ones that must be filled in."""
        return self._included(lambda a: a.is_required)

    @property
    def multiple_args_included_in_web_ui(self) -> dict[str, Argument]:
        """Of these, the ones with several values."""
        return self._included(lambda a: a.is_multiple)

    # --- parsing ---

    def parse_args(
        self, args: Sequence[str] | None = None, namespace: Namespace | None = None, run: bool = False
    ) -> Namespace:
        """The options of the command line (`args`, else that of the process), the environment and config files.

        With `run`, options that do not go together are errors too. An error is printed and ends the
        process with its exit code; so do ``--help`` and ``--version``.
        """
        from argparse import ArgumentTypeError, Namespace

        argv = sys.argv[1:] if args is None else args
        try:
            values, sources, added = _engine.parse_args([self.prog, *argv], [a.row() for a in self.arguments], run=run)
        except _engine.UsageError as e:
            self._exit_with(*e.args)
        self._help_or_version(values)
        namespace = namespace or Namespace()
        for dest, value in values.items():
            if dest not in ("help", "version"):
                overridden = sources[dest] == "default" and dest in self._defaults
                setattr(namespace, dest, self._defaults[dest] if overridden else value)
        for dest, value in self._defaults.items():
            if not hasattr(namespace, dest):
                setattr(namespace, dest, value)
        try:
            self._set_added(namespace, added)
        except ArgumentTypeError as e:
            self.error(str(e))
        return namespace

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: Namespace | None = None
    ) -> tuple[Namespace, list[str]]:
        """parse_args(); there are no unknown arguments, they are errors."""
        return self.parse_args(args, namespace), []

    def _set_added(self, namespace: Namespace, added: list[tuple[Any, str]]) -> None:
        """Of several arguments with one dest, the one from the highest source sets it; of equals the last."""
        from argparse import ArgumentTypeError

        ranks: dict[str, int] = {}
        missing = []
        for argument, (given, source) in zip(self.arguments, added):
            rank = SOURCES.index(source)
            if rank < ranks.get(argument.dest, 0):
                continue
            if rank == 0 and argument.dest in ranks:
                continue
            ranks[argument.dest] = rank
            if rank == 0 and argument.required:
                missing.append(argument.display_name)
            try:
                value = argument.initial() if rank == 0 else argument.value_of(given)
            except (TypeError, ValueError, ArgumentTypeError) as e:
                raise ArgumentTypeError(f"argument {argument.display_name}: {e}") from None
            setattr(namespace, argument.dest, value)
        if missing:
            raise ArgumentTypeError(f"the following arguments are required: {', '.join(missing)}")

    def _help_or_version(self, values: dict[str, Any]) -> None:
        if values["help"]:
            self.print_help()
            self.exit()
        if values["version"]:
            print(version_text())
            self.exit()

    def _exit_with(self, code: int, text: str) -> NoReturn:
        self.exit(code, f"{self.prog}: error: {text}\n")

    # --- the rest of argparse's interface ---

    def format_help(self) -> str:
        """The text of ``--help``."""
        return _engine.help_text([a.row() for a in self.arguments])

    def print_help(self) -> None:
        """Print it on stdout."""
        sys.stdout.write(self.format_help())

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End the process."""
        if message:
            sys.stderr.write(message)
        sys.exit(status)

    def error(self, message: str) -> NoReturn:
        """End the process because of wrong usage."""
        self._exit_with(2, message)


def version_text() -> str:
    """The line that ``--version`` prints."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{PROG} {_engine.__version__} (Python {python})"


def get_parser(default_config_files: Sequence[str] = DEFAULT_CONFIG_FILES) -> LocustArgumentParser:
    """A parser with the arguments of the locustfiles that are loaded: fires ``init_command_line_parser``.

    The config files cannot be chosen; the parameter is there because Locust has it.
    """
    import locust

    parser = LocustArgumentParser()
    locust.events.init_command_line_parser.fire(parser=parser)
    return parser


def parse_options(args: Sequence[str] | None = None, run: bool = False) -> Namespace:
    """The options, those of the loaded locustfiles included; see LocustArgumentParser.parse_args."""
    return get_parser().parse_args(args, run=run)


def parse_locustfile_option(args: Sequence[str] | None = None) -> list[str]:
    """Absolute paths of the locustfiles, before anything is loaded and other options are known.

    Prints help or version when asked to, and errors, and ends the process then.
    """
    parser = LocustArgumentParser()
    argv = sys.argv[1:] if args is None else args
    try:
        values, _, _ = _engine.parse_args([PROG, *argv], early=True)
    except _engine.UsageError as e:
        parser._exit_with(*e.args)
    parser._help_or_version(values)
    try:
        return parse_locustfile_paths(values["locustfile"].split(","))
    except LocustfileError as e:
        parser._exit_with(1, str(e))


def default_args_dict() -> dict[str, Any]:
    """The built-in options' defaults by dest."""
    return {row["dest"]: row["default"] for row in _engine.option_table() if row["kind"] != "action"}


def ui_extra_args_dict(args: Sequence[str] | None = None) -> dict[str, UIExtraArgOptions]:
    """The added arguments that the web form shows, with their present values, by dest."""
    parser = get_parser()
    values = vars(parser.parse_args(args))
    return {
        dest: UIExtraArgOptions(
            default_value=values[dest],
            is_secret=a.is_secret,
            help_text=a.help or "",
            choices=None if a.choices is None else list(a.choices),
            is_required=a.is_required,
            is_multiple=a.is_multiple,
        )
        for dest, a in parser.args_included_in_web_ui.items()
    }
