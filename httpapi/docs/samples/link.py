import os

import requests

made = requests.post(
    f"{os.environ['STATUS_URL']}/v1/links",
    json={"executionArn": os.environ["ARN"], "expiresIn": "10m"},
    headers={"Authorization": f"Bearer {os.environ['STATUS_TOKEN']}"},
    timeout=10,
)
made.raise_for_status()
link = made.json()["data"]
print(link["url"], "until", link["expiresAt"])
print(requests.get(link["url"], timeout=10).json()["data"]["status"])
