"""The memory scenario: users that GET one page and then keep their connection open, waiting."""

from locust import FastHttpUser, HttpUser, constant, task


class Idle(HttpUser):
    wait_time = constant(3600)

    def on_start(self):
        self.client.verify = False

    @task
    def get(self):
        self.client.get("/")


class FastIdle(FastHttpUser):
    wait_time = constant(3600)
    insecure = True

    @task
    def get(self):
        self.client.get("/")
