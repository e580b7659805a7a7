"""How often each task is chosen."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .users import User

LINE = "-" * 80


def print_task_ratio(user_classes: list[type[User]], num_users: int | None, total: bool = False) -> None:
    """Print the tasks of each class with their share in percent: of the class, or of all users with `total`."""
    _print_level(get_ratio(user_classes, _distribute(user_classes, num_users), total), 0)


def print_task_ratio_tables(user_classes: list[type[User]], num_users: int | None) -> None:
    """Print both tables, as ``--show-task-ratio`` does."""
    for title, total in (("Task ratio per User class", False), ("Total task ratio", True)):
        print(f"\n{title}\n{LINE}")
        print_task_ratio(user_classes, num_users, total)
    print()


def print_task_ratio_json(user_classes: list[type[User]], num_users: int | None) -> None:
    """Print both as one JSON object, as ``--show-task-ratio-json`` does."""
    import json

    spawned = _distribute(user_classes, num_users)
    ratios = {
        "per_class": get_ratio(user_classes, spawned, False),
        "total": get_ratio(user_classes, spawned, True),
    }
    print(json.dumps(ratios, indent=4))


def get_ratio(user_classes: list[type[User]], user_spawned: dict[str, int], total: bool) -> dict[str, dict[str, Any]]:
    """Nested ``{name: {"ratio": r, "tasks": {...}}}``; `user_spawned` is the number of users by class name."""
    all_users = sum(user_spawned.values()) or 1
    tree = {}
    for cls in user_classes:
        share = user_spawned.get(cls.__name__, 0) / all_users
        tree[cls.__name__] = {"ratio": share, "tasks": _task_ratios(cls.tasks, share if total else 1.0, total)}
    return tree


def _task_ratios(tasks: list[Any], share: float, total: bool) -> dict[str, dict[str, Any]]:
    from .task import TaskSet

    tree = {}
    for task, count in Counter(tasks).items():
        node: dict[str, Any] = {"ratio": count * share / len(tasks)}
        if isinstance(task, type) and issubclass(task, TaskSet):
            node["tasks"] = _task_ratios(task.tasks, node["ratio"] if total else 1.0, total)
        tree[task.__name__] = node
    return tree


def _distribute(user_classes: list[type[User]], num_users: int | None) -> dict[str, int]:
    """Users by class name when there are `num_users`; without a number, one for each unit of weight."""
    fixed = sum(cls.fixed_count for cls in user_classes)
    weights = sum(cls.weight for cls in user_classes if not cls.fixed_count)
    by_weight = max(0, (num_users or (1 if fixed else weights)) - fixed)
    return {
        cls.__name__: cls.fixed_count or round(cls.weight / weights * by_weight) if weights else cls.fixed_count
        for cls in user_classes
    }


def _print_level(tree: dict[str, dict[str, Any]], level: int) -> None:
    indent = "  " * level
    for name, node in tree.items():
        print(f" {indent + format(node['ratio'] * 100, '.1f'):<10} {indent + name}")
        _print_level(node.get("tasks", {}), level + 1)
