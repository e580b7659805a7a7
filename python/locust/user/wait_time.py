"""How long users wait between tasks: values for the class attribute ``wait_time``."""

from .._engine import between, constant, constant_pacing, constant_throughput

__all__ = ("between", "constant", "constant_pacing", "constant_throughput")
