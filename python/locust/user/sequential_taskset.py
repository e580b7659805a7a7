"""A TaskSet that runs its tasks in the order in which they are written."""

from __future__ import annotations

import itertools
from typing import Any, Callable

from ..exception import LocustError
from .task import TaskSet, TaskSetMeta, expand_tasks


class SequentialTaskSetMeta(TaskSetMeta):
    """Collects tasks in order of declaration; ``tasks = [...]`` counts where it stands."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
        ordered: list = []
        for base in bases:
            ordered.extend(getattr(base, "tasks", None) or [])
        for key, value in namespace.items():
            if key == "tasks":
                if not isinstance(value, (list, dict)):
                    raise ValueError("The tasks attribute can only be set to a list or a dict")
                ordered.extend(expand_tasks(value))
            elif "locust_task_weight" in dir(value):
                ordered.extend([value] * value.locust_task_weight)
        namespace["tasks"] = ordered
        return type.__new__(mcs, name, bases, namespace)


class SequentialTaskSet(TaskSet, metaclass=SequentialTaskSetMeta):
    """Runs its tasks in order, then starts over. ``@task(n)`` means n times in a row."""

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self._task_cycle = itertools.cycle(self.tasks)

    def get_next_task(self) -> Callable:
        """The next task in order."""
        if not self.tasks:
            raise LocustError(
                "No tasks defined on "
                + self.__class__.__name__
                + ", mark its methods with the @task decorator or set its tasks attribute"
            )
        return next(self._task_cycle)
