"""A TaskSet whose next task depends on the last one: tasks are states, transitions have weights."""

from __future__ import annotations

import logging
import random
from typing import Any, Callable, Iterable

from ..exception import LocustError
from .task import TaskSet, TaskSetMeta

logger = logging.getLogger(__name__)

TransitionList = Iterable[str | tuple[str, int]]


class NoMarkovTasksError(LocustError):
    """The class has no task with transitions."""


class InvalidTransitionError(LocustError):
    """A transition leads to something that is not in the class."""


class NonMarkovTaskTransitionError(LocustError):
    """A transition leads to a method without transitions of its own."""


class MarkovTaskTagError(LocustError):
    """Tags cannot be used here: leaving out a state would break the chain."""


def _is_markov_task(item: Any) -> bool:
    return callable(item) and hasattr(item, "transitions")


def transition(func_name: str, weight: int = 1) -> Callable[[Callable], Callable]:
    """Mark a method as a state from which the user may go on to `func_name`. Can be stacked."""

    def mark(func: Callable) -> Callable:
        func.transitions = {**getattr(func, "transitions", {}), func_name: weight}  # type: ignore[attr-defined]
        return func

    return mark


def transitions(weights: dict[str, int] | TransitionList) -> Callable[[Callable], Callable]:
    """Several transitions at once: a dict of name to weight, or a list of names and (name, weight) pairs."""
    pairs = weights.items() if isinstance(weights, dict) else (w if isinstance(w, tuple) else (w, 1) for w in weights)
    table = dict(pairs)

    def mark(func: Callable) -> Callable:
        func.transitions = {**getattr(func, "transitions", {}), **table}  # type: ignore[attr-defined]
        return func

    return mark


def _reachable(first: Callable, members: dict[str, Any]) -> set[str]:
    """Names of the tasks that a walk from `first` can come to."""
    seen: set[str] = set()
    pending = [first.__name__]
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending.extend(target for target, weight in members[name].transitions.items() if weight)
    return seen


def _check(name: str, tasks: list[Callable], members: dict[str, Any]) -> None:
    if not tasks:
        raise NoMarkovTasksError(
            f"No Markov tasks defined in class {name}. Use the @transition(s) decorators to define some."
        )
    for task in tasks:
        for target in task.transitions:  # type: ignore[attr-defined]
            if target not in members:
                raise InvalidTransitionError(f"Transition to {target} from {task.__name__} is invalid since no such element exists on class {name}")
            if not _is_markov_task(members[target]):
                raise NonMarkovTaskTransitionError(
                    f"{target} cannot be used as a target for a transition since it does not define any transitions of "
                    f"its own. Used as a transition from {task.__name__}."
                )
        if "locust_tag_set" in dir(task):
            raise MarkovTaskTagError("Tags are unsupported for MarkovTaskSet since they can make the markov chain invalid!")
    lost = [task.__name__ for task in tasks if task.__name__ not in _reachable(tasks[0], members)]
    if lost:
        logger.warning("The following markov tasks are unreachable in class %s: %s", name, ", ".join(lost))


class MarkovTaskSetMeta(TaskSetMeta):
    """Checks the chain when the class is made."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
        if not namespace.setdefault("abstract", False):
            tasks = [item for item in namespace.values() if _is_markov_task(item)]
            for hook in ("on_start", "on_stop"):
                if _is_markov_task(namespace.get(hook)):
                    logger.warning("You have tagged your %s function with @transition. This will make it get called both as a task AND on start/stop.", hook)
            if _is_markov_task(namespace.get("run")):
                raise Exception("TaskSet.run() is a method used internally by Locust, and you must not override it or register it with transitions")
            _check(name, tasks, namespace)
            for task in tasks:
                weights = task.transitions
                task.transitions = [target for target, weight in weights.items() for _ in range(weight)]
            namespace["current"] = tasks[0]
        return type.__new__(mcs, name, bases, namespace)


class MarkovTaskSet(TaskSet, metaclass=MarkovTaskSetMeta):
    """Begins with its first task; after each one goes on along one of that task's transitions, by weight::

        class Shopping(MarkovTaskSet):
            @transition("cart", weight=2)
            @transition("browse")
            def browse(self): ...

            @transition("browse")
            def cart(self): ...
    """

    abstract = True
    """True: only a base for other classes."""
    current: Callable

    def get_next_task(self) -> Callable:
        """The current task; the one after it is drawn now."""
        task = self.current
        self.current = getattr(type(self), random.choice(task.transitions))  # type: ignore[attr-defined]
        return task
