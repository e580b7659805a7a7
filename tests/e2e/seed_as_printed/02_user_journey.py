from locust import HttpUser, task, between, SequentialTaskSet
import json

class UserJourney(SequentialTaskSet):
    """Sequential tasks representing a complete user journey"""
    
    def browse_catalog(self):
        self.client.get("/catalog")
        
    def search_products(self):
        search_terms = ["laptop", "phone", "tablet"]
        term = random.choice(search_terms)
        self.client.get(f"/search?q={term}")
        
    def view_product(self):
        response = self.client.get("/products/featured")
        if response.status_code == 200:
            products = response.json().get('products', [])
            if products:
                product = random.choice(products)
                self.client.get(f"/products/{product['id']}")
    
    def add_to_cart(self):
        self.client.post("/cart", json={
            "product_id": getattr(self, 'current_product_id', 1),
            "quantity": 1
        })
    
    def checkout(self):
        # Only 30% of users complete checkout
        if random.random() < 0.3:
            self.client.post("/checkout", json={
                "payment_method": "credit_card",
                "shipping_address": "123 Test St"
            })

class ECommerceUser(HttpUser):
    wait_time = between(2, 5)
    tasks = [UserJourney]
    weight = 3  # 3x more common than other user types
