import os

import requests

done = False
while not done:
    answer = requests.post(
        f"{os.environ['STATUS_URL']}/v1/wait",
        params={"wait": 20},
        json={"executionArns": [os.environ["ARN"]], "for": "all"},
        headers={"Authorization": f"Bearer {os.environ['STATUS_TOKEN']}"},
        timeout=40,  # the wait of 20 s, and time to answer
    )
    answer.raise_for_status()
    data = answer.json()["data"]
    done = data["done"]
print([result.get("status") for result in data["results"]])
