"""The Environment: one test setup, and what a locustfile reaches it through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .event import Events
from .exception import RunnerAlreadyExistsError
from .stats import RequestStats
from .user.task import TaskSet, filter_tasks_by_tags

if TYPE_CHECKING:
    from argparse import Namespace

    from .runners import LocalRunner, Runner
    from .user import User


class Environment:
    """Settings, events, statistics and the runner of one test."""

    def __init__(
        self,
        *,
        user_classes: list[type[User]] | None = None,
        shape_class: Any = None,
        tags: list[str] | None = None,
        locustfile: str | None = None,
        exclude_tags: list[str] | None = None,
        events: Events | None = None,
        host: str | None = None,
        reset_stats: bool = False,
        stop_timeout: float | None = None,
        catch_exceptions: bool = True,
        parsed_options: Namespace | None = None,
        parsed_locustfiles: list[str] | None = None,
        available_user_classes: dict[str, type[User]] | None = None,
        available_shape_classes: dict[str, Any] | None = None,
        available_user_tasks: dict[str, list] | None = None,
        dispatcher_class: type | None = None,
        profile: str | None = None,
    ) -> None:
        self.runner: Runner | None = None
        self.web_ui: Any = None
        self.process_exit_code: int | None = None
        """When set, the exit code of the process, whatever else happened."""
        self.events = events or Events()
        self.user_classes = list(user_classes or [])
        self.shape_class = shape_class
        self.tags = tags
        self.exclude_tags = exclude_tags
        self.stats = RequestStats()
        self.worker_logs: dict[str, list[str]] = {}
        self.host = host
        self.reset_stats = reset_stats
        self.stop_timeout: float = _first(stop_timeout, getattr(parsed_options, "stop_timeout", None), 0.0)
        self.catch_exceptions = catch_exceptions
        self.parsed_options = parsed_options
        self.parsed_locustfiles = parsed_locustfiles
        self.locustfile = locustfile
        self.available_user_classes = available_user_classes
        self.available_shape_classes = available_shape_classes
        self.available_user_tasks = available_user_tasks
        self.dispatcher_class = dispatcher_class
        self.profile = profile
        self._tags_applied = False
        self._drop_weightless_classes()
        self._refuse_duplicate_names()

    @property
    def user_classes_by_name(self) -> dict[str, type[User]]:
        """User classes by class name."""
        return {cls.__name__: cls for cls in self.user_classes}

    def create_local_runner(self) -> LocalRunner:
        """Create the runner of a test in this process; once per Environment."""
        from .runners import LocalRunner

        if self.runner is not None:
            raise RunnerAlreadyExistsError(f"Environment.runner already exists ({self.runner})")
        self.runner = LocalRunner(self)
        return self.runner

    def assign_equal_weights(self) -> None:
        """Give every class the weight 1 and every task of it the same chance."""
        for cls in self.user_classes:
            cls.weight = 1
            flat: list = []
            pending = list(cls.tasks)
            while pending:
                task = pending.pop(0)
                if isinstance(task, type) and issubclass(task, TaskSet):
                    pending.extend(task.tasks)
                elif task not in flat:
                    flat.append(task)
            cls.tasks = flat

    def _filter_tasks_by_tags(self) -> None:
        """Apply --tags and --exclude-tags, once: the classes themselves are changed."""
        if self._tags_applied:
            return
        self._tags_applied = True
        include = set(self.tags) if self.tags else None
        exclude = set(self.exclude_tags) if self.exclude_tags else None
        if include or exclude:
            for cls in self.user_classes:
                filter_tasks_by_tags(cls, include, exclude)

    def _drop_weightless_classes(self) -> None:
        kept = [cls for cls in self.user_classes if cls.weight != 0 or cls.fixed_count != 0]
        if self.user_classes and not kept:
            raise ValueError("There are no users with weight > 0.")
        self.user_classes = kept

    def _refuse_duplicate_names(self) -> None:
        seen: dict[str, type] = {}
        for cls in self.user_classes:
            if cls.__name__ in seen and seen[cls.__name__] is not cls:
                raise ValueError(
                    "The following user classes have the same class name: "
                    f"{seen[cls.__name__].fullname()}, {cls.fullname()}"
                )
            seen[cls.__name__] = cls


def _first(*values: Any) -> Any:
    return next(v for v in values if v is not None)
