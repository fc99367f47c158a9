async function result(server: string, token: string, arn: string) {
  const url = `${server}/v1/status/${encodeURIComponent(arn)}?wait=20`;
  for (;;) {
    const answer = await fetch(url, {
      headers: { Authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(40_000), // the wait of 20 s, and time to answer
    });
    if (answer.status === 429 || answer.status === 503) {
      const seconds = Number(answer.headers.get("Retry-After") ?? 1);
      await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
      continue;
    }
    const body = await answer.json();
    if (!body.success) throw new Error(`${body.error.code}: ${body.error.message}`);
    if (body.data.status !== "RUNNING") return body.data;
  }
}
