# why executions failed in the last hour, the most recent cause first
curl --fail-with-body --silent --show-error \
  --header "Authorization: Bearer $STATUS_TOKEN" \
  "$STATUS_URL/v1/failures?window=1h"
