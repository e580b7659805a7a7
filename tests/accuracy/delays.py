"""Locustfile: users ask the shop for known delays, while others keep the CPU busy.

Writes one line of JSON for each request into $SAMPLES: the delay that the server measured itself, and the times that
the client reports, in milliseconds.
"""

import json
import os
import time

from locust import FastHttpUser, HttpUser, constant, task

samples = open(os.environ["SAMPLES"], "w")


def ask(user):
    with user.client.get("/delay?dist=uniform:1ms,20ms", catch_response=True, name="/delay") as response:
        meta = response.request_meta
        truth = int(response.headers["X-Delay-Ns"]) / 1e6
        row = {key: meta[key] for key in ("response_time", "service_time", "due_time", "lag")}
        samples.write(json.dumps({"truth": truth, **row}) + "\n")


class Asker(HttpUser):
    weight = 3
    wait_time = constant(0.01)

    @task
    def ask(self):
        ask(self)


class FastAsker(FastHttpUser):
    weight = 3

    @task
    def ask(self):
        ask(self)


class Burner(HttpUser):
    fixed_count = 1
    wait_time = constant(0.001)

    @task
    def burn(self):
        end = time.perf_counter() + 0.005
        while time.perf_counter() < end:
            pass
