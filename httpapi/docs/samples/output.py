import os
import time

import requests

url = f"{os.environ['STATUS_URL']}/v1/executions/{os.environ['ARN']}/output"
headers = {"Authorization": f"Bearer {os.environ['STATUS_TOKEN']}"}
while True:
    answer = requests.post(url, params={"wait": 20}, headers=headers, timeout=40)  # the wait of 20 s, and time to answer
    if answer.status_code not in (202, 429, 503):  # 202: it is still being fetched
        break
    time.sleep(int(answer.headers.get("Retry-After", 1)))
answer.raise_for_status()  # 410: Step Functions no longer has it
print(answer.json()["data"]["output"])
