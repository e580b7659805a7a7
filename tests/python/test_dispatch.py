"""locust._engine.Dispatch: glue only; the rules themselves are tested in C."""

import pytest

from locust._engine import Dispatch


def run(dispatch):
    steps = []
    for _ in range(1000):
        steps.append(dispatch.step())
        if not steps[-1][2]:
            return steps
    raise AssertionError("the ramp does not end")


def test_a_ramp():
    dispatch = Dispatch([("A", 5, 0), ("B", 1.0, 0)])
    assert dispatch.total == 0
    dispatch.ramp(12, 3)
    steps = run(dispatch)
    assert [counts for counts, _, _ in steps] == [(2, 1), (5, 1), (7, 2), (10, 2)]
    assert [pause for _, pause, _ in steps[:-1]] == [1.0, 1.0, 1.0]
    assert [more for _, _, more in steps] == [True, True, True, False]
    assert dispatch.total == 12


def test_fixed_counts_come_first_and_users_leave_in_reverse():
    dispatch = Dispatch([("A", 1, 0), ("B", 0, 2)])
    dispatch.ramp(target=3, rate=0.5)
    steps = run(dispatch)
    assert [counts for counts, _, _ in steps] == [(0, 1), (0, 2), (1, 2)] and steps[0][1] == 2.0
    dispatch.ramp(1, 100)
    assert run(dispatch)[-1][0] == (0, 1)


def test_allowed_classes():
    dispatch = Dispatch((("A", 1, 0), ("B", 1, 0)))
    dispatch.ramp(4, 4, allowed=[False, True])
    assert run(dispatch)[-1][0] == (0, 4)
    dispatch.ramp(6, 4, None)  # as before
    assert run(dispatch)[-1][0] == (0, 6)
    dispatch.ramp(7, 4, (1, 1))
    assert run(dispatch)[-1][0] == (1, 6)


@pytest.mark.parametrize(
    "classes, error",
    [
        (3, TypeError),
        ([], ValueError),
        ([("A", 1)], TypeError),
        ([["A", 1, 0]], TypeError),
        ([("A", "heavy", 0)], TypeError),
        ([("A", 1, -1)], ValueError),
        ([("A", 1, 2**40)], ValueError),
        ([("A", 0, 0)], ValueError),
        ([(b"A", 1, 0)], TypeError),
    ],
)
def test_wrong_classes(classes, error):
    with pytest.raises(error):
        Dispatch(classes)


@pytest.mark.parametrize(
    "args, error",
    [((-1, 1), ValueError), ((1, 0), ValueError), ((1, float("nan")), ValueError), ((1, float("inf")), ValueError)]
    + [((2**40, 1), ValueError), ((1, 1, [True]), ValueError), ((1, 1, 5), TypeError), (("many", 1), TypeError)],
)
def test_wrong_ramps(args, error):
    dispatch = Dispatch([("A", 1, 0), ("B", 1, 0)])
    with pytest.raises(error):
        dispatch.ramp(*args)


def test_init_was_skipped():
    dispatch = Dispatch.__new__(Dispatch)
    assert dispatch.total == 0
    with pytest.raises(RuntimeError):
        dispatch.step()
    with pytest.raises(RuntimeError):
        dispatch.ramp(1, 1)
