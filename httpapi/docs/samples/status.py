import os
import time

import requests

url = f"{os.environ['STATUS_URL']}/v1/status/{os.environ['ARN']}"
headers = {"Authorization": f"Bearer {os.environ['STATUS_TOKEN']}"}
while True:
    answer = requests.get(url, params={"wait": 20}, headers=headers, timeout=40)  # the wait of 20 s, and time to answer
    if answer.status_code in (429, 503):
        time.sleep(int(answer.headers.get("Retry-After", 1)))
        continue
    answer.raise_for_status()
    data = answer.json()["data"]
    if data["status"] != "RUNNING":
        break
print(data["status"], data.get("output", data.get("errorMessage")))
