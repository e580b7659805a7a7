"""The throughput scenario: users that do nothing but GET the same small page."""

from locust import FastHttpUser, HttpUser, constant, task


class Hello(HttpUser):
    wait_time = constant(0)

    @task
    def get(self):
        self.client.get("/")


class FastHello(FastHttpUser):
    wait_time = constant(0)

    @task
    def get(self):
        self.client.get("/")
