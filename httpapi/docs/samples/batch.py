import os

import requests

answer = requests.post(
    f"{os.environ['STATUS_URL']}/v1/status",
    json={"executionArns": [os.environ["ARN"]]},
    headers={"Authorization": f"Bearer {os.environ['STATUS_TOKEN']}"},
    timeout=10,
)
answer.raise_for_status()
for result in answer.json()["data"]["results"]:
    print(result["executionArn"], result.get("status") or result["error"]["message"])
