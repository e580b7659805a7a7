"""``python -m locust``: what the gregaria program becomes for a Python locustfile."""

from locust.main import main

main()
