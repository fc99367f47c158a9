// What the page remembers between visits: how it looks and works, never a token.

const prefix = "status-cache.";

export function pref(name, otherwise) {
  try {
    return localStorage.getItem(prefix + name) ?? otherwise;
  } catch {
    return otherwise; // the browser keeps nothing
  }
}

export function setPref(name, value) {
  try {
    localStorage.setItem(prefix + name, value);
  } catch {
    // it lasts as long as the page then
  }
}

const themes = ["system", "light", "dark"];
let theme = pref("theme", "system");

// applyTheme sets the theme that was chosen and says so on its button.
export function applyTheme() {
  if (!themes.includes(theme)) theme = "system";
  document.documentElement.dataset.theme = theme;
  const button = document.getElementById("theme");
  button.setAttribute("aria-label", `Theme: ${theme}. Change it`);
  button.title = `Theme: ${theme} (t)`;
}

export function nextTheme() {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length];
  setPref("theme", theme);
  applyTheme();
  return theme;
}
