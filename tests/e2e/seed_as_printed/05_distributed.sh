# Master node
locust -f locustfile.py --master --master-bind-host=0.0.0.0

# Worker nodes
locust -f locustfile.py --worker --master-host=<master-ip>

# Docker-based distributed testing
# docker-compose.yml
version: '3.8'
services:
  master:
    image: locustio/locust
    ports:
      - "8089:8089"
    volumes:
      - ./:/mnt/locust
    command: -f /mnt/locust/locustfile.py --master -H http://target-host
  
  worker:
    image: locustio/locust
    volumes:
      - ./:/mnt/locust
    command: -f /mnt/locust/locustfile.py --worker --master-host master
    deploy:
      replicas: 4
