"""A load test of the shop in this folder, written the way Locust users write them.

    build/bin/shop --port 8000 &
    gregaria -f examples/shop/locustfile.py --host http://127.0.0.1:8000

Three kinds of visitors: most look around, some buy, and a few programs use the API.
"""

import json
import random

from locust import FastHttpUser, HttpUser, SequentialTaskSet, TaskSet, between, constant_pacing, tag, task


class Browsing(TaskSet):
    """Reading a few pages, then back to the front page."""

    @task(3)
    def product(self):
        product_id = random.randint(1, 100)
        with self.client.get(f"/products/{product_id}", name="/products/[id]", catch_response=True) as response:
            if response.status_code == 404 and product_id % 10 == 0:
                response.success()  # sold out, and the shop says so

    @task(2)
    def search(self):
        word = random.choice(["laptop", "phone", "tablet"])
        with self.client.get("/search", params={"q": word}, name="/search", catch_response=True) as response:
            if not response.json()["products"]:
                response.failure(f"nothing found for {word}")

    @task
    def leave(self):
        self.interrupt()


class Visitor(HttpUser):
    """Looks, but does not buy."""

    weight = 6
    wait_time = between(0.5, 2)
    tasks = {Browsing: 2}

    @task(2)
    def front_page(self):
        self.client.get("/")

    @task
    def catalog(self):
        self.client.get("/catalog")


class Purchase(SequentialTaskSet):
    """From the shop window to the receipt, in order."""

    product_id = 1

    @task
    def featured(self):
        products = self.client.get("/products/featured").json()["products"]
        self.product_id = random.choice(products)["id"]

    @task
    def look_closer(self):
        self.client.get(f"/products/{self.product_id}", name="/products/[id]")

    @task
    def add_to_cart(self):
        self.client.post("/cart", json={"product_id": self.product_id, "quantity": random.randint(1, 3)})

    @task
    @tag("payment")
    def check_out(self):
        with self.client.post("/checkout", json={"payment_method": "card"}, catch_response=True) as response:
            if response.status_code == 402:
                response.success()  # declined cards are part of business
            elif "order_id" not in response.json():
                response.failure("no order number on the receipt")

    @task
    def done(self):
        self.interrupt()


class Customer(HttpUser):
    """Logs in once and then buys again and again."""

    weight = 3
    wait_time = between(0.5, 1.5)
    tasks = [Purchase]

    def on_start(self):
        self.client.post("/login", {"username": "testuser", "password": "secret"})
        with self.client.get("/account", catch_response=True) as response:
            if response.status_code != 200 or response.json()["username"] != "testuser":
                response.failure("the session cookie was not kept")


class ApiClient(FastHttpUser):
    """A program that polls the API at a fixed rate and knows its moods."""

    weight = 1
    wait_time = constant_pacing(1)

    @task(4)
    def data(self):
        with self.client.get("/api/data", catch_response=True) as response:
            try:
                data = response.json()
            except json.JSONDecodeError:
                response.failure("not JSON")
                return
            if "error" in data:
                response.failure(data["error"])

    @task
    def upload(self):
        files = {"file": ("notes.txt", b"some notes", "text/plain")}
        with self.client.post("/upload", files=files, catch_response=True) as response:
            if "upload_id" not in response.text:
                response.failure("no upload id")
