// The address of each view, below the fragment: "#/executions?q=status:failed". So it works
// below any path prefix, and neither ARNs nor searches reach the log of a proxy.

// read returns {page, argument, parameters} of an address.
export function read(fragment) {
  const [path, query] = fragment.replace(/^#\/?/, "").split("?", 2);
  const [page, ...rest] = path.split("/");
  let argument = rest.join("/");
  try {
    argument = decodeURIComponent(argument);
  } catch {
    // it has a % that begins no escape: as it stands
  }
  return { page: page || "overview", argument, parameters: new URLSearchParams(query ?? "") };
}

export const toExecution = (arn) => `#/executions/${encodeURIComponent(arn)}`;
export const toSearch = (text) => (text ? `#/executions?q=${encodeURIComponent(text)}` : "#/executions");

// go shows another view; with replace it takes the place of this one in the history.
export function go(fragment, replace = false) {
  if (fragment === location.hash) return;
  if (replace) {
    history.replaceState(null, "", fragment);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = fragment;
  }
}
