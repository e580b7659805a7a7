"""locust.argument_parser: a locustfile's own arguments, and options as parsed_options holds them."""

import pytest

from locust import argument_parser
from locust.argument_parser import LocustArgumentParser


@pytest.fixture(autouse=True)
def clean_place(tmp_path, monkeypatch):
    import os

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in list(os.environ):
        if name.startswith("LOCUST_"):
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def parser():
    return LocustArgumentParser()


def fails(parser, capsys, *args, code=2):
    with pytest.raises(SystemExit) as info:
        parser.parse_args(args)
    assert info.value.code == code
    text = capsys.readouterr().err
    assert text.startswith("gregaria: error: ")
    return text[len("gregaria: error: ") :].rstrip("\n")


# --- built-in options ------------------------------------------------------------------------


def test_types_and_defaults(parser):
    options = parser.parse_args([])
    assert options.num_users is None and options.spawn_rate is None and options.run_time is None
    assert options.stop_timeout == 0 and options.loglevel == "INFO" and options.user_classes == []
    assert options.headless is False and options.tags is None and options.web_port == 8089
    assert not hasattr(options, "help") and not hasattr(options, "version")


def test_values(parser):
    options = parser.parse_args("-u 10 -r 2.5 -t 1h30m --headless -s 20 -L debug --tags a b -f x.py".split())
    assert (options.num_users, options.spawn_rate, options.run_time) == (10, 2.5, 5400)
    assert (options.stop_timeout, options.loglevel, options.tags) == (20, "DEBUG", ["a", "b"])
    assert options.headless is True and options.locustfile == "x.py"


def test_errors(parser, capsys):
    assert fails(parser, capsys, "--user-count", "3").startswith("unrecognized arguments: --user-count")
    assert "invalid int value: 'x'" in fails(parser, capsys, "-u", "x")
    with pytest.raises(SystemExit):
        parser.parse_args(["--csv-full-history", "--headless"], run=True)
    assert "'--csv-full-history' requires '--csv'." in capsys.readouterr().err


def test_help_and_version(parser, capsys):
    parser.add_argument("--mine", help="A thing of my own")
    for option, token in (("-h", "A thing of my own"), ("--version", "gregaria ")):
        with pytest.raises(SystemExit) as info:
            parser.parse_args([option])
        assert info.value.code == 0 and token in capsys.readouterr().out


def test_default_args_dict():
    defaults = argument_parser.default_args_dict()
    assert defaults["web_port"] == 8089 and defaults["host"] is None and defaults["headless"] is False
    assert defaults["stop_timeout"] == 0 and defaults["locustfile"] == "locustfile.py" and "help" not in defaults
    assert defaults == vars(LocustArgumentParser().parse_args([]))


# --- added ones ------------------------------------------------------------------------------


def test_store(parser, monkeypatch):
    parser.add_argument("-m", "--my-argument", type=int, default="7", env_var="MY_ARGUMENT")
    parser.add_argument("-z", default=[1])
    assert parser.parse_args([]).my_argument == 7
    assert parser.parse_args([]).z == [1]
    assert parser.parse_args(["-m3"]).my_argument == 3
    monkeypatch.setenv("MY_ARGUMENT", "4")
    assert parser.parse_args([]).my_argument == 4
    assert parser.parse_args(["--my-arg=5"]).my_argument == 5


def test_config_file(parser, clean_place):
    (clean_place / "locust.conf").write_text("my-argument = 12\nusers = 3\nquiet = true\n")
    parser.add_argument("--my-argument", type=float)
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args([])
    assert (options.my_argument, options.num_users, options.quiet) == (12.0, 3, True)


def test_flags(parser, monkeypatch):
    parser.add_argument("--on", action="store_true", env_var="ON")
    parser.add_argument("--off", action="store_false", dest="quiet")
    parser.add_argument("--level", action="store_const", const=9, default=1)
    options = parser.parse_args([])
    assert (options.on, options.quiet, options.level) == (False, True, 1)
    options = parser.parse_args(["--on", "--off", "--level"])
    assert (options.on, options.quiet, options.level) == (True, False, 9)
    monkeypatch.setenv("ON", "yes")
    assert parser.parse_args([]).on is True
    monkeypatch.setenv("ON", "no")
    assert parser.parse_args([]).on is False


def test_two_arguments_with_one_dest(parser):
    parser.add_argument("--fast", action="store_const", const="fast", dest="mode", default="normal")
    parser.add_argument("--slow", action="store_const", const="slow", dest="mode")
    assert parser.parse_args([]).mode == "normal"
    assert parser.parse_args(["--fast"]).mode == "fast"
    assert parser.parse_args(["--slow"]).mode == "slow"


def test_nargs(parser, capsys):
    parser.add_argument("--any", nargs="*", type=int)
    parser.add_argument("--some", nargs="+", default=[])
    parser.add_argument("--two", nargs=2, type=float)
    parser.add_argument("--maybe", nargs="?", const="c", default="d")
    options = parser.parse_args([])
    assert (options.any, options.some, options.two, options.maybe) == (None, [], None, "d")
    options = parser.parse_args("--any 1 2 --some a --two 1 2.5 --maybe".split())
    assert (options.any, options.some, options.two, options.maybe) == ([1, 2], ["a"], [1.0, 2.5], "c")
    assert parser.parse_args(["--any"]).any == []
    assert parser.parse_args(["--maybe", "x"]).maybe == "x"
    assert fails(parser, capsys, "--some") == "argument --some: expected at least one argument"
    assert fails(parser, capsys, "--two", "1") == "argument --two: expected 2 arguments"
    assert fails(parser, capsys, "--maybe", "1", "2") == "argument --maybe: expected at most one argument"


def test_lists_from_the_environment(parser, monkeypatch):
    parser.add_argument("--ids", nargs="*", type=int, env_var="IDS")
    monkeypatch.setenv("IDS", "[1, 2]")
    assert parser.parse_args([]).ids == [1, 2]


def test_append(parser):
    parser.add_argument("-a", "--add", action="append", type=int)
    parser.add_argument("--more", action="append", default=["x"])
    options = parser.parse_args(["-a", "1", "--add=2", "--more", "y"])
    assert (options.add, options.more) == ([1, 2], ["x", "y"])
    assert parser.parse_args([]).add is None and parser.parse_args([]).more == ["x"]


def test_choices_types_and_required(parser, capsys):
    import argparse

    def even(text):
        if int(text) % 2:
            raise argparse.ArgumentTypeError("must be even")
        return int(text)

    parser.add_argument("-c", "--colour", choices=["red", "blue"])
    parser.add_argument("--even", type=even)
    assert parser.parse_args(["-c", "red"]).colour == "red"
    error = fails(parser, capsys, "-c", "pink")
    assert error == "argument -c/--colour: invalid choice: 'pink' (choose from 'red', 'blue')"
    assert fails(parser, capsys, "--even", "3") == "argument --even: must be even"
    assert fails(parser, capsys, "--even", "x") == "argument --even: invalid even value: 'x'"
    parser.add_argument("-k", "--key", required=True)
    assert fails(parser, capsys) == "the following arguments are required: -k/--key"
    assert parser.parse_args(["-k", "v"]).key == "v"


def test_set_defaults(parser):
    parser.add_argument("--mine", type=int)
    parser.set_defaults(mine=3, host="http://h", extra="e")
    options = parser.parse_args([])
    assert (options.mine, options.host, options.extra) == (3, "http://h", "e")
    assert parser.parse_args(["-H", "http://x"]).host == "http://x"
    assert parser.get_default("mine") == 3 and parser.get_default("host") == "http://h"
    assert parser.get_default("web_port") == 8089 and parser.get_default("nothing") is None


def test_groups_and_what_add_argument_returns(parser):
    group = parser.add_argument_group("My options", "Text")
    argument = group.add_argument("--in-group", type=int, default=1)
    assert argument.dest == "in_group" and parser.parse_args(["--in-group", "2"]).in_group == 2


@pytest.mark.parametrize(
    "names, keywords",
    [((), {}), (("positional",), {}), (("--",), {}), (("--x",), {"action": "count"}), (("--x",), {"nargs": 0})]
    + [(("--x",), {"nargs": "..."}), (("--x",), {"action": "append", "nargs": 2}), (("--mine",), {})],
)
def test_wrong_arguments(parser, names, keywords):
    parser.add_argument("--mine")
    with pytest.raises(ValueError):
        parser.add_argument(*names, **keywords)
    with pytest.raises(TypeError):
        parser.add_argument("--y", nonsense=1)


def test_a_built_in_name_cannot_be_taken(parser, capsys):
    parser.add_argument("--users")
    assert "conflicting option string: --users" in fails(parser, capsys)


# --- with the events -------------------------------------------------------------------------


@pytest.fixture
def listener():
    import locust

    hook = locust.events.init_command_line_parser

    @hook.add_listener
    def add(parser):
        parser.add_argument("--shown", default="s", help="H", is_required=True)
        parser.add_argument("--hidden", include_in_web_ui=False)
        parser.add_argument("--secret", is_secret=True, choices=("a", "b"), env_var="SECRET")

    yield
    hook.remove_listener(add)


def test_parse_options(listener):
    options = argument_parser.parse_options(["--shown", "x", "-u", "3"])
    assert options.shown == "x" and options.num_users == 3 and options.secret is None


def test_web_form(listener):
    extra = argument_parser.ui_extra_args_dict(["--secret", "a"])
    assert list(extra) == ["shown", "secret"]
    assert extra["shown"] == ("s", False, "H", None, True, False)
    assert extra["secret"].default_value == "a" and extra["secret"].is_secret
    assert extra["secret"].choices == ["a", "b"]


# --- which locustfile ------------------------------------------------------------------------


def test_locustfile_option(clean_place, capsys):
    (clean_place / "one.py").write_text("")
    (clean_place / "two.py").write_text("")
    paths = argument_parser.parse_locustfile_option(["-f", "one.py, two.py", "--unknown-to-all"])
    assert paths == [str(clean_place / "one.py"), str(clean_place / "two.py")]
    with pytest.raises(SystemExit) as info:
        argument_parser.parse_locustfile_option([])
    assert info.value.code == 1
    assert "Could not find 'locustfile.py'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as info:
        argument_parser.parse_locustfile_option(["--help"])
    assert info.value.code == 0 and "Usage:" in capsys.readouterr().out


def test_parse_timespan():
    assert [argument_parser.parse_timespan(t) for t in "20 20s 3m 2h 1h20m 3h30m10s 0".split()] == [
        20, 20, 180, 7200, 4800, 12610, 0,
    ]  # fmt: skip
    for wrong in ("", " 1", "1.5s", "5d", "10m5", "1s1m", "-1"):
        with pytest.raises(ValueError):
            argument_parser.parse_timespan(wrong)
    with pytest.raises(TypeError):
        argument_parser.parse_timespan(5)


def test_arguments_of_the_c_functions():
    from locust import _engine

    for extras in (5, [5], [{"names": 1}], [{"names": "--x", "dest": "x", "kind": "int"}], [{"kind": "flag"}]):
        with pytest.raises((TypeError, ValueError, _engine.UsageError)):
            _engine.parse_args(["x"], extras)
    for argv in (5, [5], ["nul\0"]):
        with pytest.raises((TypeError, ValueError)):
            _engine.parse_args(argv)
    assert _engine.parse_args([])[0]["num_users"] is None
    assert _engine.parse_args(["x", "--host", "\udcff"])[0]["host"] == "\udcff"
