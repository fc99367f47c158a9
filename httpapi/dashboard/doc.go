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
//	dom.js         making elements; user data is always text
//	format.js      times, durations, numbers and statuses for people
//	router.js      what an ARN says, and the address of each view, below the fragment
//	chart.js       charts as SVG, and attempts on a time line
//	notify.js      screen readers, toasts, the light in the header, the clipboard
//	keys.js        keyboard shortcuts and their help; what is kept in localStorage, never a token
//	session.js     the token and where it is kept
//	api.js         requests, of which one that gets 401 waits for a new token; streams that
//	               reconnect; it runs before the rest of the page is there, and begins to load
//	               the first view
//	search.js      the search box, its language, and its translation for the API
//	rows.js        the executions of a list, kept current by its feed
//	table.js       a table that renders only what is visible
//	commands.js    "copy as": statusctl, curl, aws; and what to do on an empty page
//	signin.js      the sign-in dialog, and signing in at the issuer
//	output.js      an output as a tree and raw, without changing a byte of it
//	overview.js, executions.js, execution.js, health.js  the pages
//	app.js         puts it together
//
// # How to change it
//
// Run statusdev with --dashboard-dir httpapi/dashboard and reload the browser after each
// change. Tests bound the size of all files together.
//
// The package imports no other package of this project.
package dashboard
