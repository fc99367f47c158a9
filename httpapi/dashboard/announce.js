// The one status region for screen readers. At most one message each five seconds, the
// latest: what changes every second would drown everything else.

const every = 5000; // ms
let last = -every;
let next = "";
let timer = 0;

export function announce(message) {
  next = message;
  if (timer) return;
  const wait = Math.max(0, last + every - performance.now());
  timer = setTimeout(() => {
    timer = 0;
    last = performance.now();
    document.getElementById("announce").textContent = next;
  }, wait);
}
