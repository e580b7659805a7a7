from locust import HttpUser, task, between
from locust.exception import RescheduleTask
import random

class WebsiteUser(HttpUser):
    wait_time = between(1, 3)  # Wait 1-3 seconds between requests
    
    def on_start(self):
        """Called when a user starts - use for login/setup"""
        self.login()
    
    def login(self):
        response = self.client.post("/login", {
            "username": "testuser",
            "password": "secret"
        })
        if response.status_code != 200:
            raise RescheduleTask()
    
    @task(3)  # 3x more likely than other tasks
    def view_products(self):
        self.client.get("/products")
        
    @task(1)
    def view_product_detail(self):
        product_id = random.randint(1, 100)
        with self.client.get(f"/products/{product_id}", catch_response=True) as response:
            if response.status_code == 404:
                response.failure("Product not found")
    
    @task(1)
    def add_to_cart(self):
        self.client.post("/cart/add", {
            "product_id": random.randint(1, 50),
            "quantity": random.randint(1, 3)
        })
