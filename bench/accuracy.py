"""The accuracy scenario: many users wait for a server that says how long it really took, while
others keep the processor of this process busy.

Writes what was measured, one line a request, to $BENCH_OUT: the server's own delay, the service
time ("-" where there is none, as under stock Locust) and the response time, in milliseconds.
"""

import os
import random
import time

from locust import FastHttpUser, constant, events, task

DIST = os.environ.get("BENCH_DIST", "lognormal:20ms,0.6")
samples = []


@events.request.add_listener
def on_request(response_time, response, exception, **kwargs):
    if exception or not response.headers.get("X-Delay-Ns"):
        return
    meta = getattr(response, "request_meta", None) or {}
    samples.append((int(response.headers["X-Delay-Ns"]) / 1e6, meta.get("service_time"), response_time))


@events.quitting.add_listener
def on_quitting(**kwargs):
    with open(os.environ["BENCH_OUT"], "w") as out:
        for truth, service, response in samples:
            out.write(f"{truth} {'-' if service is None else service} {response}\n")


class Waiting(FastHttpUser):
    wait_time = constant(0)
    weight = 99

    @task
    def delay(self):
        self.client.get("/delay?dist=" + DIST, name="/delay")


class Burning(FastHttpUser):
    """Computes for 2 to 5 ms at a time and lets the others run in between."""

    wait_time = constant(0)
    fixed_count = 2

    @task
    def burn(self):
        until = time.perf_counter() + random.uniform(0.002, 0.005)
        while time.perf_counter() < until:
            pass
