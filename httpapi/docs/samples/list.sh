curl --fail-with-body --silent --show-error --get \
  --header "Authorization: Bearer $STATUS_TOKEN" \
  --data limit=20 --data status=FAILED --data startedAfter=24h \
  "$STATUS_URL/v1/executions"
