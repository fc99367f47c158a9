import json
import os
import time

import requests

url = f"{os.environ['STATUS_URL']}/v1/status/{os.environ['ARN']}"
headers = {"Authorization": f"Bearer {os.environ['STATUS_TOKEN']}", "Accept": "text/event-stream"}
ended = False
while not ended:
    try:
        # The service sends something every 9 seconds: after 20 s of silence the stream is lost.
        with requests.get(url, headers=headers, stream=True, timeout=20) as answer:
            if answer.status_code == 204:  # nothing newer comes
                break
            answer.raise_for_status()
            for line in answer.iter_lines():  # bytes: as text it would also split at U+2028
                name, _, value = line.partition(b": ")
                if name == b"id":
                    headers["Last-Event-ID"] = value.decode()
                elif name == b"event":
                    ended = value == b"end"
                elif name == b"data" and not ended:
                    print(json.loads(value)["status"])
    except requests.exceptions.RequestException as error:
        if getattr(error, "response", None) is not None and error.response.status_code < 429:
            raise
    if not ended:
        time.sleep(2)
