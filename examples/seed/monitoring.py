"""Listeners that log failures, slow requests and the load of this machine."""

from locust import HttpUser, between, events, task
import logging
import psutil

# Custom metrics collection
@events.request.add_listener
def on_request(request_type, name, response_time, response_length, exception, context, **kwargs):
    if exception:
        logging.error(f"Request failed: {name} - {exception}")

    # Log slow requests
    if response_time > 2000:
        logging.warning(f"Slow request: {name} took {response_time}ms")

@events.test_start.add_listener
def on_test_start(environment, **kwargs):
    logging.info(f"Load test starting with {environment.parsed_options.num_users} users")

# Resource monitoring
@events.init.add_listener
def on_locust_init(environment, **kwargs):
    def log_system_stats():
        cpu_percent = psutil.cpu_percent()
        memory_percent = psutil.virtual_memory().percent
        logging.info(f"System resources - CPU: {cpu_percent}%, Memory: {memory_percent}%")
        environment.runner.greenlet.spawn_later(30, log_system_stats)

    # Log system stats every 30 seconds during test
    environment.runner.greenlet.spawn_later(30, log_system_stats)

class MonitoredUser(HttpUser):
    wait_time = between(1, 3)

    @task
    def look_around(self):
        self.client.get("/catalog")
