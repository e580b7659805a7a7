"""Writes dispatch_golden.inc: what a real Locust's dispatcher does in random cases.

Run with an interpreter that has Locust: dispatch_golden.py CASES [SEED] > dispatch_golden.inc

A line is GOLDEN(classes, ramps, steps). Classes: a letter and its weight, or "=" and its fixed
count. Ramps: target@rate, "/" with letters when restricted to some classes, and ":" with the number
of steps when the next ramp begins before this one has ended. Steps: ramps are parted by "|", steps
by a blank; a capital is a user added, a small letter one removed, "-" no change. Users added in one
step are sorted, because only their counts can be seen.
"""

import random
import sys
from types import SimpleNamespace as Namespace

import locust.dispatch
from locust.dispatch import UsersDispatcher

# No real waiting, and no time spent between two steps.
locust.dispatch.gevent = Namespace(sleep=lambda seconds: None)
locust.dispatch.time = Namespace(perf_counter=lambda: 0.0)


class UserClass:
    def __init__(self, name, weight, fixed_count):
        self.__name__ = name
        self.weight = weight
        self.fixed_count = fixed_count


def random_classes(rnd):
    classes = []
    for name in rnd.sample("ABCDEF", rnd.randint(1, 4)):
        fixed = rnd.randint(1, 5) if rnd.random() < 0.3 else 0
        weight = rnd.choice([1, 1, 2, 3, 5, 10, 0.2, 0.5, 1.5])
        classes.append(UserClass(name, weight, fixed))
    return classes


def random_ramps(rnd, classes):
    ramps = []
    for _ in range(rnd.randint(1, 4)):
        allowed = None
        if rnd.random() < 0.2:
            allowed = rnd.sample(classes, rnd.randint(1, len(classes)))
        steps_max = rnd.randint(1, 5) if rnd.random() < 0.2 else None
        ramps.append((rnd.randint(0, 20), rnd.choice([0.5, 1, 1, 2, 2.4, 3, 7.9, 100]), allowed, steps_max))
    return ramps


def changes(before, after):
    text = ""
    for name in sorted(after):
        n = after[name] - before[name]
        text += name * n if n > 0 else name.lower() * -n
    return text or "-"


def run(classes, ramps):
    dispatcher = UsersDispatcher([Namespace(id="local")], classes)
    before = {c.__name__: 0 for c in classes}
    result = []
    for target, rate, allowed, steps_max in ramps:
        dispatcher.new_dispatch(target, rate, allowed)
        steps = []
        for users in dispatcher:
            steps.append(changes(before, users["local"]))
            before = users["local"]
            # A ramp that found no class to spawn has ended. Locust notices only at the next step,
            # and stops the next ramp if that begins first; we do not follow it there.
            if len(steps) == steps_max and not dispatcher._no_user_to_spawn:
                break
        result.append(" ".join(steps))
    return "|".join(result)


def main():
    rnd = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    print(f"/* By dispatch_golden.py from Locust {locust.__version__}. */")
    for _ in range(int(sys.argv[1])):
        classes = random_classes(rnd)
        ramps = random_ramps(rnd, classes)
        spec = " ".join(
            f"{c.__name__}={c.fixed_count}" if c.fixed_count else f"{c.__name__}{c.weight:g}" for c in classes
        )
        plan = " ".join(
            f"{target}@{rate:g}"
            + ("/" + "".join(c.__name__ for c in allowed) if allowed else "")
            + (f":{steps_max}" if steps_max else "")
            for target, rate, allowed, steps_max in ramps
        )
        print(f'GOLDEN("{spec}", "{plan}", "{run(classes, ramps)}")')


main()
