import os

import requests

answer = requests.post(
    f"{os.environ['STATUS_URL']}/v1/executions",
    json={"executionArn": os.environ["ARN"], "owner": "ada"},
    headers={"Authorization": f"Bearer {os.environ['STATUS_TOKEN']}"},
    timeout=10,
)
answer.raise_for_status()
print(answer.status_code)  # 201, or 200 if it was registered before
