from locust import HttpUser, task
from locust.exception import RescheduleTask
import time

class APIUser(HttpUser):
    
    @task
    def api_endpoint_with_validation(self):
        start_time = time.time()
        
        with self.client.get("/api/data", catch_response=True) as response:
            response_time = (time.time() - start_time) * 1000
            
            # Validate response time
            if response_time > 2000:
                response.failure(f"Response too slow: {response_time}ms")
            
            # Validate response content
            try:
                data = response.json()
                if 'error' in data:
                    response.failure(f"API Error: {data['error']}")
                elif len(data.get('items', [])) == 0:
                    response.failure("No data returned")
                else:
                    response.success()
            except json.JSONDecodeError:
                response.failure("Invalid JSON response")
    
    @task
    def file_upload_test(self):
        files = {'file': ('test.txt', b'test file content', 'text/plain')}
        with self.client.post("/upload", files=files, catch_response=True) as response:
            if response.status_code == 413:
                response.failure("File too large")
            elif "upload_id" not in response.text:
                response.failure("Upload failed - no upload ID")
