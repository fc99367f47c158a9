import os

import requests

cursor = None
while True:
    answer = requests.get(
        f"{os.environ['STATUS_URL']}/v1/executions",
        params={"status": "FAILED", "startedAfter": "24h", "cursor": cursor},
        headers={"Authorization": f"Bearer {os.environ['STATUS_TOKEN']}"},
        timeout=10,
    )
    answer.raise_for_status()
    data = answer.json()["data"]
    for execution in data["executions"]:
        print(execution["startDate"], execution["name"], execution["errorMessage"])
    cursor = data["nextCursor"]
    if cursor is None:
        break
