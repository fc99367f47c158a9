// A filter is for example { status: "FAILED", startedAfter: "24h", label: "customer:acme" }.
async function* executions(server: string, token: string, filter: Record<string, string> = {}) {
  for (let cursor: string | null = ""; cursor !== null; ) {
    const query = new URLSearchParams({ ...filter, ...(cursor && { cursor }) });
    const answer: Response = await fetch(`${server}/v1/executions?${query}`, {
      headers: { Authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(10_000),
    });
    const body = await answer.json();
    if (!body.success) throw new Error(`${body.error.code}: ${body.error.message}`);
    yield* body.data.executions;
    cursor = body.data.nextCursor;
  }
}
