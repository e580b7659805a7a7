# locust.conf
[locust]
locustfile = locustfile.py
headless = true
users = 100
spawn-rate = 10
run-time = 5m
host = https://api.example.com

# Environment-specific configuration
from locust import events
import os

@events.init.add_listener
def on_locust_init(environment, **kwargs):
    if not os.getenv('TARGET_HOST'):
        print("Warning: TARGET_HOST not set")
        environment.host = 'http://localhost:8000'
    else:
        environment.host = os.getenv('TARGET_HOST')

class ConfigurableUser(HttpUser):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.api_key = os.getenv('API_KEY', 'default-key')
        
    def on_start(self):
        self.client.headers.update({
            'Authorization': f'Bearer {self.api_key}',
            'User-Agent': 'LoadTest/1.0'
        })
