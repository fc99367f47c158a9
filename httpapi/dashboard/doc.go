// Package dashboard serves the web page at /: what is wrong now, and every execution, live.
//
// It is static: a page, a style sheet and ES modules, which the browser loads as they stand
// here. There is no build step and no framework. The page reads the public API with the
// token of its user, so it shows what that token may read and can change nothing.
//
//	dashboard.go   serving the files
//	policy.go      what the page may load and connect to
//	issuer.go      where the issuer gives tokens
//	index.html     the frame of every page: header, search, main, dialogs
//	style.css      the look, both themes
//
// The modules; each uses only those above it:
//
//	dom.js         making elements: strings become text nodes and nothing else, so what a user
//	               or a state machine has written is never read as markup; times, durations,
//	               numbers and statuses for people
//	router.js      what an ARN says, and the address of each view; that is below the fragment, so
//	               it works below any path prefix, and no search reaches the log of a proxy
//	chart.js       charts as SVG, and attempts on a time line; each says in words what it shows
//	notify.js      screen readers, toasts, the light in the header, the line at the foot that
//	               says why the page may be out of date, the clipboard
//	keys.js        keyboard shortcuts, which can be switched off (WCAG 2.1.4), and their help;
//	               what is kept in localStorage, never a token
//	api.js         the token: in memory, or in sessionStorage where the person says so, which the
//	               browser empties with the tab; never in an address or a cookie; requests, of
//	               which one that gets 401 waits for a new token; streams that reconnect; it runs
//	               before the rest of the page is there and before the first frame, and begins to
//	               load the first view
//	search.js      the search box, its language, and its translation for the API
//	rows.js        the executions of a list, kept current by its feed: what is shown changes in
//	               place, what is new waits until it is wanted, so nothing moves under the pointer
//	table.js       a table that renders only what is visible; a row keeps its element, so neither
//	               focus nor a selection is lost when others come and go
//	commands.js    "copy as": what acts is done elsewhere, with the rights of who does it; and
//	               what to do on an empty page
//	signin.js      the sign-in dialog, which stands over the view, and signing in at the issuer
//	output.js      an output as a tree and raw, without changing a byte of it
//	overview.js, executions.js, execution.js, health.js  the pages
//	app.js         puts it together
//
// The modules have no comments of their own about what they are for: these lines stand here,
// because all that a browser loads is bounded, see below.
//
// # What the page may say
//
// A sentence is about what the service has said and when. While it does not answer, or says
// that it is degraded, the line at the foot says so on every page. While it does not answer,
// statements that something is not so ("no failure is known", "no execution matches") are also
// hidden, and no duration counts on.
//
// # How to change it
//
// Run statusdev with --dashboard-dir httpapi/dashboard and reload the browser after each
// change. Tests bound the size of all files together.
//
// The package imports no other package of this project.
package dashboard
