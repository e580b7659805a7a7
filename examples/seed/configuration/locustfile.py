"""A user that takes its target and its key from the environment."""

# Environment-specific configuration
from locust import HttpUser, events, task
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

    @task
    def who_am_i(self):
        self.client.get("/echo")
