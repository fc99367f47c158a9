import os

import requests

answer = requests.get(
    f"{os.environ['STATUS_URL']}/v1/failures",
    params={"window": "1h"},
    headers={"Authorization": f"Bearer {os.environ['STATUS_TOKEN']}"},
    timeout=10,
)
answer.raise_for_status()
for group in answer.json()["data"]["groups"]:
    print(group["count"], group["error"], group["message"], group["examples"])
