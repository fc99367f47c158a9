async function link(server: string, token: string, executionArn: string): Promise<string> {
  const answer = await fetch(`${server}/v1/links`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ executionArn, expiresIn: "10m" }),
    signal: AbortSignal.timeout(10_000),
  });
  const body = await answer.json();
  if (!body.success) throw new Error(`${body.error.code}: ${body.error.message}`);
  return body.data.url; // a page can open it: new EventSource(url)
}
