"""Tasks and task sets: what a user does.

The task loop itself is C (``locust._engine.TaskSet``); here is how a class's tasks are collected.
"""

from __future__ import annotations

import logging
import traceback
import warnings
from typing import Any, Callable, NoReturn, TypeVar, overload

from .. import _engine
from ..exception import InterruptTaskSet

logger = logging.getLogger(__name__)

_T = TypeVar("_T", bound=Callable | type)


@overload
def task(weight: _T) -> _T: ...


@overload
def task(weight: int) -> Callable[[_T], _T]: ...


def task(weight: Any = 1) -> Any:
    """Mark a method, or a nested TaskSet class, as a task: ``@task`` or ``@task(weight)``.

    The weight says how often the task is chosen, relative to the others::

        class Visitor(HttpUser):
            @task(3)
            def look(self): ...

            @task
            def buy(self): ...
    """

    def mark(func: _T) -> _T:
        if func.__name__ in ("on_start", "on_stop"):
            logger.warning(
                "You have tagged your %s function with @task. This will make it get called both as a task "
                "AND on start/stop.",
                func.__name__,
            )
        if func.__name__ == "run":
            raise Exception("User.run() is a method used internally by Locust, and you must not override it or register it as a task")
        func.locust_task_weight = weight  # type: ignore[union-attr]
        return func

    if callable(weight):
        func, weight = weight, 1
        return mark(func)
    return mark


def tag(*tags: str) -> Callable[[_T], _T]:
    """Attach tags to a task or TaskSet, for ``--tags`` and ``--exclude-tags``."""
    if not tags or callable(tags[0]):
        raise ValueError("No tag name was supplied")

    def mark(decorated: _T) -> _T:
        if hasattr(decorated, "tasks"):
            decorated.tasks = [mark(t) for t in decorated.tasks]  # type: ignore[union-attr]
        else:
            decorated.locust_tag_set = getattr(decorated, "locust_tag_set", set()) | set(tags)  # type: ignore[union-attr]
        return decorated

    return mark


def expand_tasks(tasks: Any) -> list:
    """A ``tasks`` attribute as a plain list, in which a task stands as often as it weighs."""
    items = tasks.items() if isinstance(tasks, dict) else tasks
    expanded: list = []
    for item in items:
        if isinstance(item, tuple):
            function, count = item
            expanded.extend([function] * count)
        else:
            expanded.append(item)
    return expanded


def get_tasks_from_base_classes(bases: tuple[type, ...], namespace: dict[str, Any]) -> list:
    """All tasks of a class that is being made: its bases', its ``tasks`` attribute's, its methods'."""
    collected: list = []
    for base in bases:
        collected.extend(getattr(base, "tasks", None) or [])
    if namespace.get("tasks") is not None:
        collected.extend(expand_tasks(namespace["tasks"]))
    for value in namespace.values():
        if "locust_task_weight" in dir(value):
            collected.extend([value] * value.locust_task_weight)
    return collected


def filter_tasks_by_tags(
    holder: type, include: set[str] | None = None, exclude: set[str] | None = None, checked: dict | None = None
) -> None:
    """Keep only the tasks of `holder` (a User or TaskSet class) that the tag sets select."""
    checked = {} if checked is None else checked
    kept: list = []
    for t in holder.tasks:  # type: ignore[attr-defined]
        if t in checked:
            if checked[t]:
                kept.append(t)
            continue
        passing = True
        if hasattr(t, "tasks"):
            filter_tasks_by_tags(t, include, exclude, checked)
            passing = len(t.tasks) > 0
        else:
            tags = getattr(t, "locust_tag_set", set())
            if include is not None:
                passing = bool(tags & include)
            if exclude is not None and tags & exclude:
                passing = False
        checked[t] = passing
        if passing:
            kept.append(t)
    holder.tasks = kept  # type: ignore[attr-defined]
    if not kept:
        warnings.warn(f"{holder.__name__} had no tasks left after filtering, instantiating it will fail!", stacklevel=2)


class TaskSetMeta(type):
    """Collects the tasks of each TaskSet class."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
        namespace["tasks"] = get_tasks_from_base_classes(bases, namespace)
        return super().__new__(mcs, name, bases, namespace)


class TaskSet(_engine.TaskSet, metaclass=TaskSetMeta):
    """Tasks that belong together; the user picks one at random, by weight, again and again.

    May be nested in a user or in another set, and is left with :meth:`interrupt`.
    """

    tasks: list[type[TaskSet] | Callable] = []
    """Tasks as a list, or a dict of task to weight; those marked with ``@task`` are added."""

    def interrupt(self, reschedule: bool = True) -> NoReturn:
        """Leave this set. The parent picks its next task at once, or waits first if not `reschedule`."""
        raise InterruptTaskSet(reschedule)


class DefaultTaskSet(TaskSet):
    """A user's own tasks: they get the user as argument."""

    _root = True


def _no_tasks(owner: Any) -> NoReturn:
    """Called by the engine for a user or set without tasks."""
    name = type(owner).__name__
    if isinstance(owner, TaskSet):
        hint = ", but you have set a 'task' attribute - maybe you meant to set 'tasks'?"
        advice = " use the @task decorator or set the 'tasks' attribute of the TaskSet"
    else:
        hint = ", but you have set a 'task' attribute on your class - maybe you meant to set 'tasks'?"
        advice = (
            " Use the @task decorator or set the 'tasks' attribute of the User "
            "(or mark it as abstract = True if you only intend to subclass it)"
        )
    raise Exception(f"No tasks defined on {name}{hint if getattr(owner, 'task', None) else '.'}{advice}")


def _on_stop_failed(taskset: TaskSet, exc: Exception) -> None:
    """Called by the engine when a set's on_stop raised: the set is left all the same."""
    text = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))
    logger.error("Uncaught exception in %s.on_stop: \n%s", type(taskset).__name__, text)


def _task_failed(taskset: TaskSet, exc: Exception) -> bool:
    """Called by the engine when a task raised: report it and tell whether the user goes on."""
    environment = taskset.user.environment
    environment.events.user_error.fire(user_instance=taskset, exception=exc, tb=exc.__traceback__)
    if not environment.catch_exceptions:
        return False
    text = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__))
    logger.error("%s\n%s", exc, text)
    return True
